import { describe, expect, test } from 'vitest'
import { ConfigError, parseConfig } from '../../src/server/config/config.ts'
import { describeMisnomers, describeStrays } from '../../src/server/config/misnomers.ts'
import { settingEntries } from '../../src/server/config/settings.ts'
import type { Source } from '../../src/server/config/sources.ts'

/** What shells, desktops, containers, platforms, CI and other programs set. */
const COMMON_NAMES = `
PATH HOME USER LOGNAME SHELL PWD OLDPWD SHLVL TERM COLORTERM LANG LANGUAGE LC_ALL LC_CTYPE TZ EDITOR VISUAL PAGER LESS
LESSOPEN LS_COLORS MAIL HOST HOSTNAME HOSTTYPE OSTYPE MACHTYPE VENDOR GROUP UID EUID DISPLAY XAUTHORITY WAYLAND_DISPLAY
TMPDIR TMP TEMP TEMPDIR _ PS1 IFS ENV BASH_ENV HISTFILE HISTSIZE CDPATH MANPATH INFOPATH SUDO_USER SUDO_UID SUDO_COMMAND
SSH_AUTH_SOCK SSH_AGENT_PID SSH_CONNECTION SSH_CLIENT SSH_TTY GPG_AGENT_INFO DBUS_SESSION_BUS_ADDRESS SESSION_MANAGER
DESKTOP_SESSION GDMSESSION WINDOWID XDG_RUNTIME_DIR XDG_CONFIG_HOME XDG_DATA_HOME XDG_DATA_DIRS XDG_CONFIG_DIRS
XDG_CACHE_HOME XDG_STATE_HOME XDG_SESSION_ID XDG_SESSION_TYPE XDG_CURRENT_DESKTOP TERM_PROGRAM TERM_PROGRAM_VERSION
TMUX TMUX_PANE STY COLUMNS LINES NO_COLOR FORCE_COLOR CLICOLOR DEBUG VERBOSE EMAIL NAME VERSION
http_proxy https_proxy no_proxy all_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY ALL_PROXY FTP_PROXY SSL_CERT_FILE SSL_CERT_DIR
LD_LIBRARY_PATH LD_PRELOAD MALLOC_ARENA_MAX DYLD_LIBRARY_PATH PKG_CONFIG_PATH CC CXX CFLAGS CXXFLAGS LDFLAGS MAKEFLAGS
NODE NODE_ENV NODE_OPTIONS NODE_PATH NODE_VERSION NODE_EXTRA_CA_CERTS NODE_TLS_REJECT_UNAUTHORIZED NODE_DEBUG
NODE_REPL_HISTORY YARN_VERSION INIT_CWD COREPACK_HOME NVM_DIR NVM_BIN NVM_INC VOLTA_HOME PNPM_HOME BUN_INSTALL
npm_command npm_config_cache npm_config_loglevel npm_config_registry npm_config_user_agent npm_config_local_prefix
npm_config_noproxy npm_config_prefix npm_config_userconfig npm_execpath npm_node_execpath npm_lifecycle_event
npm_lifecycle_script npm_package_json npm_package_name npm_package_version UV_THREADPOOL_SIZE UWS_HTTP_MAX_HEADERS_SIZE
PYTHONPATH PYTHONUNBUFFERED VIRTUAL_ENV CONDA_PREFIX CONDA_DIR PYENV_ROOT PIP_INDEX_URL JAVA_HOME JAVA_OPTS GOPATH GOROOT
GOPROXY CARGO_HOME RUSTUP_HOME RUST_LOG RUST_BACKTRACE RUBYOPT GEM_HOME BUNDLE_PATH PERL5LIB PHP_INI_DIR DOTNET_ROOT
PGHOST PGPORT PGUSER PGPASSWORD PGDATABASE PGDATA PGSSLMODE PGPASSFILE PGSERVICE PGOPTIONS PGAPPNAME PG_VERSION PG_MAJOR
POSTGRES_USER POSTGRES_PASSWORD POSTGRES_DB POSTGRES_HOST POSTGRES_PASSWORD_FILE POSTGRES_INITDB_ARGS
MYSQL_HOST MYSQL_PASSWORD MYSQL_DATABASE MYSQL_DATADIR REDIS_URL REDIS_HOST MONGO_URL MONGODB_URI RABBITMQ_URL AMQP_URL
DB_HOST DB_PORT DB_NAME DB_USER DB_USERNAME DB_PASSWORD DB_DATABASE DB_SSL DATABASE_HOST DATABASE_PORT DATABASE_NAME
DATABASE_USER DATABASE_PASSWORD SECRET_KEY SECRET_KEY_BASE SESSION_SECRET COOKIE_SECRET API_KEY API_URL API_TOKEN APP_ENV
APP_NAME APP_KEY APP_URL BASE_URL PUBLIC_URL CACHE_DIR CACHE_URL CONFIG_DIR LOG_DIR LOG_FILE LOG_FORMAT LOG_PATH LOGS_DIR
LOG_COLOR SERVER_NAME SERVER_SOFTWARE SERVER_PROTOCOL SERVER_ADDR SERVER_ROOT SERVER_MODE SERVER_URL REQUEST_URI
REQUEST_METHOD REMOTE_ADDR QUERY_STRING SMTP_HOST SMTP_PORT MAILER_URL SENTRY_DSN SENTRY_RELEASE
OTEL_SERVICE_NAME OTEL_EXPORTER_OTLP_ENDPOINT OTEL_LOG_LEVEL DD_AGENT_HOST DD_ENV DD_SERVICE NEW_RELIC_LICENSE_KEY
KUBERNETES_SERVICE_HOST KUBERNETES_SERVICE_PORT KUBERNETES_SERVICE_PORT_HTTPS KUBERNETES_PORT KUBERNETES_PORT_443_TCP
KUBERNETES_PORT_443_TCP_ADDR KUBERNETES_PORT_443_TCP_PORT KUBERNETES_PORT_443_TCP_PROTO TASKAPI_SERVICE_HOST
TASKAPI_SERVICE_PORT TASKAPI_PORT TASKAPI_PORT_8080_TCP TASKAPI_PORT_8080_TCP_ADDR POD_NAME POD_NAMESPACE POD_IP NODE_NAME
NAMESPACE SERVICE_NAME SERVICE_PORT SERVICE_HOST LISTEN_FDS LISTEN_PID LISTEN_FDNAMES NOTIFY_SOCKET WATCHDOG_USEC
WATCHDOG_PID INVOCATION_ID JOURNAL_STREAM CREDENTIALS_DIRECTORY STATE_DIRECTORY RUNTIME_DIRECTORY CACHE_DIRECTORY
LOGS_DIRECTORY MEMORY_PRESSURE_WATCH container DOCKER_HOST DOCKER_BUILDKIT DOCKER_CONFIG COMPOSE_PROJECT_NAME COMPOSE_FILE
AWS_REGION AWS_DEFAULT_REGION AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_EXECUTION_ENV
AWS_CONTAINER_CREDENTIALS_RELATIVE_URI ECS_CONTAINER_METADATA_URI GOOGLE_CLOUD_PROJECT GOOGLE_APPLICATION_CREDENTIALS
K_SERVICE K_REVISION K_CONFIGURATION CLOUD_RUN_JOB AZURE_CLIENT_ID WEBSITE_SITE_NAME WEBSITE_HOSTNAME DYNO
WEB_CONCURRENCY WEB_MEMORY MEMORY_AVAILABLE SOURCE_VERSION STACK RENDER RENDER_SERVICE_ID RENDER_EXTERNAL_URL
RENDER_EXTERNAL_HOSTNAME RAILWAY_ENVIRONMENT RAILWAY_PROJECT_ID RAILWAY_SERVICE_NAME FLY_APP_NAME FLY_REGION FLY_ALLOC_ID
VERCEL VERCEL_ENV VERCEL_URL NETLIFY PRIMARY_REGION PORT
CI CI_COMMIT_SHA CI_JOB_ID CI_PIPELINE_ID CI_PROJECT_DIR CI_SERVER_HOST CI_SERVER_PORT CI_SERVER_URL CI_JOB_TOKEN
GITHUB_ACTIONS GITHUB_ACTOR GITHUB_ENV GITHUB_EVENT_NAME GITHUB_REF GITHUB_REPOSITORY GITHUB_RUN_ID GITHUB_SHA
GITHUB_TOKEN GITHUB_WORKSPACE RUNNER_OS RUNNER_TEMP RUNNER_TOOL_CACHE GITLAB_CI JENKINS_URL JENKINS_HOME BUILD_ID
BUILD_NUMBER BUILD_URL JOB_NAME WORKSPACE TRAVIS CIRCLECI CIRCLE_SHA1 BUILDKITE TF_BUILD TEAMCITY_VERSION
VITEST VITEST_WORKER_ID VITEST_POOL_ID TEST MODE DEV PROD SSR DB_CONFIG DB_TYPE DATA DATA_FILE JWT JWT_ISSUER JWT_AUDIENCE
JWT_PUBLIC_KEY JWT_ALGORITHM TIMEOUT MAX_CONN RATE DRAIN SHUTDOWN
`
  .trim()
  .split(/\s+/)

function environment(variables: Record<string, string>): Source {
  return { label: 'the environment', variables }
}

function envFile(variables: Record<string, string>): Source {
  return { label: '.env', variables }
}

function meantBy(name: string, others: Record<string, string> = {}): string | undefined {
  const lines = describeMisnomers([environment({ [name]: 'a-value', ...others }), envFile({})])
  expect(lines.length).toBeLessThan(2)
  expect(lines.join()).not.toContain('a-value')
  return lines[0]?.replace(`${name} is not a setting; did you mean `, '').replace('?', '')
}

test.each([
  ['DATABSE_URL', 'DATABASE_URL'],
  ['DATABASE_ULR', 'DATABASE_URL'],
  ['DATABASE_URI', 'DATABASE_URL'],
  ['DATABASE_URLS', 'DATABASE_URL'],
  ['DATBASE_URI', 'DATABASE_URL'],
  ['database_url', 'DATABASE_URL'],
  ['DatabaseUrl', 'DATABASE_URL'],
  ['DATABASE-URL', 'DATABASE_URL'],
  ['DB_URL', 'DATABASE_URL'],
  ['DATABASE_URLFILE', 'DATABASE_URL_FILE'],
  ['DATABASE_URI_FILE', 'DATABASE_URL_FILE'],
  ['JWT_KEY', 'JWT_SECRET'],
  ['JWT_SECERT', 'JWT_SECRET'],
  ['JWT_SECRETS_FILE', 'JWT_SECRET_FILE'],
  ['JWT_EXPIRATION', 'JWT_EXPIRATION_HOURS'],
  ['CORS_ORIGIN', 'CORS_ORIGINS'],
  ['LOGLEVEL', 'LOG_LEVEL'],
  ['LOG_LEVLE', 'LOG_LEVEL'],
  ['TASKAPI_LOG_LEVEL', 'LOG_LEVEL'],
  ['REQUEST_TIMEOUT', 'REQUEST_TIMEOUT_MS'],
  ['DRAIN_DELAY_SECONDS', 'DRAIN_DELAY_MS'],
  ['SERVER_PROT', 'SERVER_PORT'],
  ['HTTP_PORT', 'SERVER_PORT'],
  ['TRUST_PROXY', 'TRUSTED_PROXIES'],
])('%s suggests %s', (name, meant) => {
  expect(meantBy(name)).toBe(meant)
})

test('every setting is suggested for its name in lower case, and for its name with two letters swapped', () => {
  for (const [name] of settingEntries) {
    expect(meantBy(name.toLowerCase())).toBe(name)
    const swapped = `${name.slice(0, -2)}${name.at(-1)}${name.at(-2)}`
    expect(meantBy(swapped)).toBe(name)
  }
})

test('what machines, containers and CI set suggests nothing', () => {
  expect(COMMON_NAMES.length).toBeGreaterThan(300)
  const variables = Object.fromEntries(COMMON_NAMES.map((name) => [name, 'x']))
  expect(describeMisnomers([environment(variables), envFile({})])).toEqual([])
})

test('settings, the files of secrets and what is empty suggest nothing', () => {
  for (const [name, { kind }] of settingEntries) {
    expect(meantBy(name)).toBeUndefined()
    if (kind.secret) expect(meantBy(`${name}_FILE`)).toBeUndefined()
  }
  expect(describeMisnomers([environment({ DATABSE_URL: '' })])).toEqual([])
})

test('what others call a setting suggests nothing once the setting is set', () => {
  expect(meantBy('DB_URL', { DATABASE_URL: 'x' })).toBeUndefined()
  expect(meantBy('DB_URL', { DATABASE_URL_FILE: 'x' })).toBeUndefined()
  expect(meantBy('HTTP_PORT', { PORT: '80' })).toBeUndefined()
  expect(meantBy('LOG_LEVLE', { LOG_LEVEL: 'info' })).toBe('LOG_LEVEL')
})

test('a variable that links to a service suggests nothing', () => {
  expect(describeMisnomers([environment({ API_PORT: 'tcp://10.0.0.1:80' })])).toEqual([])
  expect(meantBy('API_PORT')).toBe('SERVER_PORT')
})

test('a name in both places is reported once', () => {
  const variables = { LOGLEVEL: 'debug' }
  expect(describeMisnomers([environment(variables), envFile(variables)])).toHaveLength(1)
})

describe('.env', () => {
  test('has its other entries named in one line, without values', () => {
    const entries = {
      FEATURE_X: 'hunter2',
      SMTP_HOST: 'mail',
      LOGLEVEL: 'debug',
      LOG_LEVEL: 'info',
    }
    expect(describeStrays([environment({ OTHER: 'x' }), envFile(entries)])).toEqual([
      '.env has entries that are not settings: FEATURE_X, SMTP_HOST',
    ])
  })

  test('may have what PostgreSQL, Node and Compose read', () => {
    const entries = {
      PGHOST: 'h',
      NODE_ENV: 'x',
      COMPOSE_FILE: 'f',
      POSTGRES_PASSWORD: 'p',
      PORT: '1',
    }
    expect(describeStrays([environment({}), envFile(entries)])).toEqual([])
  })

  test('shows nothing that may be a line of a torn secret', () => {
    const entries = { c2VjcmV0Cg: '=', FEATURE_X: '1' }
    expect(describeStrays([envFile(entries)])).toEqual([
      '.env has entries that are not settings: FEATURE_X, 1 with unusual names',
    ])
  })
})

test('an unusable configuration is reported with the names that may be the cause', () => {
  const env = { DATABASE_URL: 'postgres://u:p@localhost/taskapi', JWT_SECRT: 'hunter2' }
  expect(() => parseConfig(env)).toThrow(ConfigError)
  expect(() => parseConfig(env)).toThrow('JWT_SECRT is not a setting; did you mean JWT_SECRET?')
})
