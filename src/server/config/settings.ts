// Runs in every process. Every setting, named as in the environment: a new one is a row here and the line that uses it.
// Parsing, static types, `--help`, `.env.example` and the README's table come from these rows.
import {
  addressRanges,
  choice,
  fraction,
  headerNames,
  hostName,
  httpUrl,
  integer,
  type Kind,
  listenHost,
  namedValues,
  nonEmptyText,
  onOrOff,
  origins,
  postgresUrl,
  rate,
  secretHeaders,
  secretText,
} from './kinds.ts'
import { logLevels } from './log-levels.ts'

/** Shortest accepted HS256 key, in bytes: RFC 7518, section 3.2 asks for at least the hash size. */
const JWT_SECRET_BYTES_MIN = 32

export interface Setting<Value> {
  readonly kind: Kind<Value>
  readonly description: string
  /** Written as in the environment. A setting that has no default and is not set is `undefined`. */
  readonly default?: string
  /** A variable that is read where that of the setting's name is not set: what platforms call it. */
  readonly fallback?: string
}

export const SETTINGS = {
  DATABASE_URL: {
    kind: postgresUrl,
    description: 'PostgreSQL to use; without it, a local PostgreSQL is started in `DATA_DIR`',
  },
  JWT_SECRET: {
    kind: secretText(JWT_SECRET_BYTES_MIN),
    description:
      'Key that signs tokens (HS256); required with `DATABASE_URL`, otherwise made and kept in `DATA_DIR`',
  },
  JWT_SECRET_PREVIOUS: {
    kind: secretText(JWT_SECRET_BYTES_MIN),
    description:
      'Key whose tokens are accepted, too: the one before, or the one that comes next, while keys are changed',
  },
  JWT_EXPIRATION_HOURS: {
    kind: integer(1, 8760),
    default: '24',
    description: 'Token lifetime, in hours',
  },
  SERVER_HOST: {
    kind: listenHost,
    default: '0.0.0.0',
    description:
      'Address to listen on (`::` for IPv6 and IPv4), or a unix socket, whose peers are trusted as proxies',
  },
  SERVER_PORT: {
    kind: integer(0, 65_535),
    default: '8080',
    fallback: 'PORT',
    description:
      'Port to listen on, else that of `PORT`; 0 picks a free one; not used with a unix socket',
  },
  LISTENERS: {
    kind: integer(1, 256),
    description:
      'Listener processes on the port; by default one per CPU (within the CPU quota), or one per two CPUs when PostgreSQL is on this machine; a unix socket has one',
  },
  LOG_LEVEL: {
    kind: logLevels,
    default: 'info',
    description: 'Least severe level that is logged, of all modules and of single ones',
  },
  LOG_REQUESTS: {
    kind: choice(['off', 'errors', 'slow', 'all']),
    default: 'off',
    description:
      'Requests that have a line each, whatever `LOG_LEVEL` is: `errors` those that got a 5xx or whose client left before the answer, `slow` those and the slow ones',
  },
  LOG_SLOW_MS: {
    kind: integer(1, 600_000),
    default: '1000',
    description: 'Duration from which a request is slow, for `LOG_REQUESTS`',
  },
  LOG_EVENTS: {
    kind: onOrOff,
    default: 'off',
    description:
      'Whether each task that is created, changed or deleted has a line with ids, whatever `LOG_LEVEL` is',
  },
  ADMIN_PORT: {
    kind: integer(0, 65_535),
    description:
      'Port of `/metrics`, `/livez`, `/readyz` and `/log-level` for operators; 0 picks a free one; by default there is none',
  },
  ADMIN_HOST: {
    kind: hostName,
    default: '127.0.0.1',
    description: 'Address that `ADMIN_PORT` is on; whoever reaches it is trusted',
  },
  ADMIN_DEBUG: {
    kind: onOrOff,
    default: 'off',
    description:
      'Whether `ADMIN_PORT` also hands out heap snapshots, which hold secrets, and CPU profiles',
  },
  CORS_ORIGINS: {
    kind: origins,
    default: '*',
    description: 'Origins that browsers may call from: `*`, or a comma-separated list',
  },
  CORS_HEADERS: {
    kind: headerNames,
    default:
      'Authorization, Content-Type, X-Request-Id, Idempotency-Key, If-Match, If-None-Match, If-Modified-Since, If-Unmodified-Since, Last-Event-ID, Prefer, traceparent, tracestate, baggage, sentry-trace',
    description:
      'Headers that browsers may send; when any origin may call, these and all others may be sent',
  },
  RATE_LIMIT: {
    kind: rate,
    default: 'off',
    description:
      'Most requests of one account, or of one client without a valid token, such as `100/s`; each listener counts for itself; further ones get 429',
  },
  MAX_BODY_BYTES: {
    kind: integer(1024, 16_777_216),
    default: '65536',
    description: 'Largest accepted request body, in bytes',
  },
  MAX_CONNECTIONS: {
    kind: integer(1, 1_000_000),
    default: '10000',
    description: 'Open client connections per listener; further ones are closed at once',
  },
  MAX_CONNECTIONS_PER_CLIENT: {
    kind: integer(1, 1_000_000),
    description:
      'Connections that one client (an IPv4 address, or an IPv6 /64) may have per listener while nobody else has any, and fewer the more are taken; by default a quarter of `MAX_CONNECTIONS`',
  },
  TRUSTED_PROXIES: {
    kind: addressRanges,
    description:
      'Proxies whose `Forwarded`, `X-Forwarded-For` or PROXY header says who the client is; their connections are not limited; by default none',
  },
  REQUEST_TIMEOUT_MS: {
    kind: integer(100, 600_000),
    default: '10000',
    description: 'Longest time from the head of a request to its answer',
  },
  STARTUP_TIMEOUT_MS: {
    kind: integer(0, 600_000),
    default: '30000',
    description:
      'Longest wait for the database and its migrations at start, then the process ends with 1; 0 waits for ever',
  },
  MIGRATE: {
    kind: choice(['auto', 'check', 'off']),
    default: 'auto',
    description:
      'What a start does with pending migrations: `auto` applies them, `check` waits until somebody else has, `off` does not look',
  },
  SHUTDOWN_TIMEOUT_MS: {
    kind: integer(0, 600_000),
    default: '8000',
    description:
      'Longest time that a drain may take before requests in flight are cut off; less than the 10 seconds after which `docker stop` kills',
  },
  DRAIN_DELAY_MS: {
    kind: integer(0, 600_000),
    default: '0',
    description: 'Time between failing readiness and refusing connections, for load balancers',
  },
  DB_CLIENT: {
    kind: choice(['wire', 'postgres']),
    default: 'wire',
    description:
      'What speaks to PostgreSQL for requests: our own `wire` client, or the `postgres` package under the same guards',
  },
  DB_POOLER: {
    kind: choice(['none', 'transaction']),
    default: 'none',
    description:
      'What stands before PostgreSQL: `none`, also right for a pooler that keeps sessions, or a `transaction` pooler',
  },
  DB_CONNECTIONS: {
    kind: integer(1, 100),
    description:
      'PostgreSQL connections per listener, by purpose: reads, inserts, changes; statements are pipelined over them; by default one for each, or four with `DB_BATCHING=off`, where each write is a commit of its own',
  },
  DB_QUEUE: {
    kind: integer(1, 100_000),
    default: '2500',
    description: 'Database calls per listener that may wait or be in flight; further ones get 503',
  },
  DB_BATCHING: {
    kind: onOrOff,
    default: 'on',
    description:
      'Whether database calls that wait at the same moment share a statement; `off` is for comparisons',
  },
  DB_STATEMENT_TIMEOUT_MS: {
    kind: integer(100, 600_000),
    default: '5000',
    description: 'Longest time that PostgreSQL may spend on one statement',
  },
  PASSWORD_THREADS: {
    kind: integer(1, 64),
    default: '1',
    description: 'Threads per listener that hash passwords; each takes 19 MiB while it hashes',
  },
  PASSWORD_QUEUE: {
    kind: integer(1, 10_000),
    default: '32',
    description:
      'Logins and registrations per listener that may wait for a thread; further ones get 429 or 503',
  },
  LOGIN_LIMITS: {
    kind: onOrOff,
    default: 'on',
    description:
      'Whether logins are refused with 429 after too many failures; `off` where something in front limits them',
  },
  OTEL_EXPORTER_OTLP_ENDPOINT: {
    kind: httpUrl,
    description:
      'Collector that traces are sent to, by OTLP over HTTP in protobuf, below `/v1/traces`; without it, none are recorded',
  },
  OTEL_EXPORTER_OTLP_HEADERS: {
    kind: secretHeaders,
    description: 'Headers that are sent to the collector, such as a key',
  },
  OTEL_TRACES_SAMPLER: {
    kind: choice([
      'parentbased_always_on',
      'parentbased_always_off',
      'parentbased_traceidratio',
      'always_on',
      'always_off',
      'traceidratio',
    ]),
    default: 'parentbased_always_on',
    description:
      "Which requests are traced; by the `parentbased` ones, those of a trace whose client says so, and of those without a client's trace all, none or a part",
  },
  OTEL_TRACES_SAMPLER_ARG: {
    kind: fraction,
    default: '1',
    description: 'The part that `traceidratio` traces',
  },
  OTEL_SERVICE_NAME: {
    kind: nonEmptyText,
    default: 'taskapi',
    description: 'What traces call the service',
  },
  OTEL_RESOURCE_ATTRIBUTES: {
    kind: namedValues,
    description:
      'What else traces say about the service, such as `deployment.environment.name=test`',
  },
  DATA_DIR: {
    kind: nonEmptyText,
    default: '.taskapi',
    description: 'Folder of the local PostgreSQL and of the secret that is kept',
  },
} as const satisfies Record<string, Setting<unknown>>

export type SettingName = keyof typeof SETTINGS

/** The settings as values. */
export type Values = {
  readonly [Name in SettingName]: ValueOf<(typeof SETTINGS)[Name]>
}

type ValueOf<Row> = Row extends { kind: Kind<infer Value>; default: string }
  ? Value
  : Row extends { kind: Kind<infer Value> }
    ? Value | undefined
    : never

/** Every setting, in the order of the documents. */
export const settingEntries = Object.entries(SETTINGS) as [SettingName, Setting<unknown>][]
