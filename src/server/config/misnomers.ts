// Runs in every process. Variables that set nothing, but whose names suggest that they were meant to.
import { type SettingName, settingEntries } from './settings.ts'
import { fileVariable, type Source } from './sources.ts'

/** What other services and platforms call a setting. Generic names such as HOST mean too many other things. */
const OTHER_NAMES: Partial<Record<SettingName, readonly string[]>> = {
  DATABASE_URL: [
    'DATABASE_DSN',
    'DATABASE_CONNECTION_STRING',
    'DB_URL',
    'DB_URI',
    'DB_DSN',
    'POSTGRES_URL',
    'POSTGRES_URI',
    'POSTGRESQL_URL',
  ],
  JWT_SECRET: ['JWT_KEY', 'JWT_SECRET_KEY', 'JWT_SIGNING_KEY', 'JWT_TOKEN_SECRET', 'TOKEN_SECRET'],
  JWT_SECRET_PREVIOUS: ['JWT_PREVIOUS_SECRET', 'JWT_SECRET_OLD', 'JWT_OLD_SECRET'],
  JWT_EXPIRATION_HOURS: ['JWT_EXPIRES_IN', 'JWT_EXPIRY', 'JWT_TTL', 'TOKEN_TTL'],
  SERVER_HOST: ['SERVER_ADDRESS', 'BIND_ADDRESS', 'BIND_HOST', 'LISTEN_ADDRESS', 'LISTEN_HOST'],
  SERVER_PORT: ['HTTP_PORT', 'LISTEN_PORT', 'APP_PORT', 'API_PORT'],
  LISTENERS: ['WORKERS', 'SERVER_WORKERS'],
  LOG_LEVEL: ['LOGGING_LEVEL', 'LOG_SEVERITY'],
  CORS_ORIGINS: [
    'CORS_ALLOWED_ORIGINS',
    'CORS_ALLOW_ORIGIN',
    'CORS_ALLOW_ORIGINS',
    'ALLOWED_ORIGINS',
  ],
  CORS_HEADERS: ['CORS_ALLOWED_HEADERS', 'CORS_ALLOW_HEADERS', 'ALLOWED_HEADERS'],
  MAX_BODY_BYTES: ['MAX_BODY_SIZE', 'BODY_LIMIT'],
  TRUSTED_PROXIES: ['TRUST_PROXY', 'TRUSTED_PROXY'],
  DB_CONNECTIONS: ['DB_POOL_SIZE', 'DB_MAX_CONNECTIONS', 'DATABASE_POOL_SIZE'],
  DB_STATEMENT_TIMEOUT_MS: ['STATEMENT_TIMEOUT'],
}
/** Docker Compose and tools around PostgreSQL and Node read a .env file, too. */
const OF_OTHER_TOOLS = /^(PG|NODE_|COMPOSE_|DOCKER_|POSTGRES_)/
/** Docker and Kubernetes set `API_PORT` and the like for a service that is called api. */
const SERVICE_LINK = /^(tcp|udp|sctp):\/\//
/** Only what is surely a name is shown: a line of .env may be the rest of a secret that has several. */
const SURE_NAME = /^[A-Z][A-Z0-9_]{0,40}$/
const UNIT = /_(ms|s|secs?|seconds|minutes|hours|bytes|kb|mb)$/i
/** Longer names are still alike when they differ twice. */
const LENGTH_MAX_OF_ONE_EDIT = 10

/** The variables that bear a setting's name, also in the forms in which names are compared. */
const VARIABLES = settingEntries
  .flatMap(([name, { kind }]) => (kind.secret ? [name, fileVariable(name)] : [name]))
  .map((name) => ({ name, plain: plainName(name), unitless: withoutUnit(name) }))
const KNOWN = new Set([
  ...VARIABLES.map(({ name }) => name),
  ...settingEntries.map(([, { fallback }]) => fallback),
])

/** A line such as `DATABSE_URL is not a setting; did you mean DATABASE_URL?` for each such name. Shows no value. */
export function describeMisnomers(sources: readonly Source[]): string[] {
  const set = new Set(sources.flatMap(listSet))
  const lines = [...set].filter(isUnknown).map((variable) => {
    const meant = findAlike(variable) ?? findOtherName(variable, set)
    return meant && `${variable} is not a setting; did you mean ${meant}?`
  })
  return lines.filter((line) => line !== undefined)
}

/** One line about the other entries of `.env`: that file is for this service, so they were meant for it. */
export function describeStrays(sources: readonly Source[]): string[] {
  const set = new Set(sources.flatMap(listSet))
  const entries = sources.filter(({ label }) => label === '.env').flatMap(listSet)
  const strays = entries.filter(
    (variable) =>
      isUnknown(variable) &&
      !OF_OTHER_TOOLS.test(variable) &&
      !findAlike(variable) &&
      !findOtherName(variable, set),
  )
  if (strays.length === 0) return []
  const named = strays.filter((variable) => SURE_NAME.test(variable))
  const unnamed = strays.length - named.length
  const list = [...named, ...(unnamed > 0 ? [`${unnamed} with unusual names`] : [])].join(', ')
  return [`.env has entries that are not settings: ${list}`]
}

function listSet({ variables }: Source): string[] {
  return Object.keys(variables).filter((name) => {
    const text = variables[name]
    return text && !SERVICE_LINK.test(text)
  })
}

function isUnknown(variable: string): boolean {
  return !KNOWN.has(variable)
}

/** The name that this one is a slip of: in case, dashes, units, letters, or with the name of the service before it. */
function findAlike(variable: string): string | undefined {
  const typed = plainName(variable)
  const unprefixed = typed.replace(/^TASKAPI/, '')
  const unitless = withoutUnit(variable)
  const alike =
    VARIABLES.find(({ plain }) => plain === typed || plain === unprefixed) ??
    VARIABLES.find((each) => each.unitless === unitless) ??
    VARIABLES.find(({ plain }) => isSlip(typed, plain))
  return alike?.name
}

/** The setting that others call so, unless it is set: then the variable is for somebody else. */
function findOtherName(variable: string, set: ReadonlySet<string>): SettingName | undefined {
  const match = settingEntries.find(([name]) => OTHER_NAMES[name]?.includes(variable))
  if (!match) return undefined
  const [name, { fallback = name }] = match
  return [name, fileVariable(name), fallback].some((own) => set.has(own)) ? undefined : name
}

function plainName(variable: string): string {
  return variable.toUpperCase().replaceAll(/[-_]/g, '')
}

function withoutUnit(variable: string): string {
  return plainName(variable.replace(UNIT, ''))
}

function isSlip(typed: string, meant: string): boolean {
  return isWithin(meant.length > LENGTH_MAX_OF_ONE_EDIT ? 2 : 1, typed, meant)
}

/** Whether so many edits make one of the other: a letter more, less, different, or swapped with the next. */
function isWithin(edits: number, one: string, other: string): boolean {
  if (Math.abs(one.length - other.length) > edits) return false
  let same = 0
  while (same < one.length && one[same] === other[same]) same += 1
  if (same === one.length && same === other.length) return true
  if (edits === 0) return false
  const [left, right] = [one.slice(same), other.slice(same)]
  const swapped = left[0] === right[1] && left[1] === right[0]
  return (
    isWithin(edits - 1, left.slice(1), right) ||
    isWithin(edits - 1, left, right.slice(1)) ||
    isWithin(edits - 1, left.slice(1), right.slice(1)) ||
    (swapped && isWithin(edits - 1, left.slice(2), right.slice(2)))
  )
}
