// Runs in the command `doctor`. What is checked of a database that answers.
import type { Address, TlsMode } from '../../../db/address.ts'
import { quoteName } from '../../../db/backup/tables.ts'
import { isUnannounced } from '../../../db/failures.ts'
import { readMigrations } from '../../../db/migrate.ts'
import type { Migration, MigrationState } from '../../../db/migration-files.ts'
import { SessionCheck } from '../../../db/pooling.ts'
import { checkSession, pinnedSettings } from '../../../db/session.ts'
import {
  readClock,
  readCollation,
  readConnections,
  readRights,
  readServer,
  type Server,
} from '../../../db/survey.ts'
import { openTextSession, type TextSession } from '../../../db/wire/text-session.ts'
import type { Config } from '../../config/config.ts'
import { MIGRATIONS_FOLDER } from '../../root.ts'
import { countOf } from '../count.ts'
import { type Found, fail, ok, warn } from './check.ts'

/** The oldest and the newest PostgreSQL that are tested. */
const MAJOR_MIN = 15
const MAJOR_MAX = 18
/** Clocks that are synchronised differ by less. */
const SKEW_MS_MAX = 2000
const SECOND_CONNECTION_MS_MAX = 2000

interface Subject {
  readonly address: Address
  readonly config: Config
  readonly session: TextSession
}

export const FITNESS: Readonly<Record<string, (subject: Subject) => Promise<Found>>> = {
  version: async ({ session }) => judgeVersion(await readServer(session)),
  TLS: async ({ address, config, session }) =>
    judgeTls(session.tlsVersion, address.tls.mode, config.DATABASE_URL?.isLocal ?? true),
  pooler: checkPooler,
  rights: checkRights,
  encoding: checkEncoding,
  clock: checkClock,
  connections: checkConnections,
  migrations: checkMigrations,
}

export function judgeVersion({ version, major, isStandby }: Server): Found {
  const found = `PostgreSQL ${version}${isStandby ? ', a standby' : ''}`
  const fix = `use PostgreSQL ${MAJOR_MIN} to ${MAJOR_MAX}`
  if (major < MAJOR_MIN) return fail(`${found}, older than the oldest that is supported`, fix)
  if (major > MAJOR_MAX) return warn(`${found}, newer than the newest that is tested`, fix)
  return ok(found)
}

/** @param tlsVersion absent without TLS */
export function judgeTls(tlsVersion: string | undefined, mode: TlsMode, isLocal: boolean): Found {
  if (tlsVersion && mode === 'verify-full') return ok(`${tlsVersion}, certificate and name checked`)
  if (tlsVersion && mode === 'verify-ca') {
    return ok(`${tlsVersion}, certificate checked, but not its name`)
  }
  const found = tlsVersion ? `${tlsVersion}, certificate not checked` : 'None'
  if (isLocal) return ok(`${found}, on this machine`)
  const danger = tlsVersion
    ? 'somebody on the way can pose as the server'
    : 'somebody on the way can read and change everything'
  return warn(
    `${found}: ${danger}`,
    'add sslmode=verify-full to DATABASE_URL, with sslrootcert=system or the file of an authority',
  )
}

async function checkPooler(subject: Subject): Promise<Found> {
  const isDeclared = subject.config.DB_POOLER === 'transaction'
  switch (await findPooler(subject)) {
    case 'none':
      if (!isDeclared) return ok('None')
      return warn('None: statements need not be sent with each call', 'set DB_POOLER=none')
    case 'session':
      return ok('One that keeps sessions')
    case 'transaction':
      if (isDeclared) return checkPooledRole(subject)
      return fail('One that keeps no sessions', 'set DB_POOLER=transaction')
  }
}

async function findPooler({
  address,
  session,
}: Subject): Promise<'none' | 'session' | 'transaction'> {
  if (!(await isPooled(session))) return 'none'
  const options = { connectTimeoutMs: SECOND_CONNECTION_MS_MAX }
  try {
    await new SessionCheck().check(session, (signal) =>
      openTextSession(address, { ...options, signal }),
    )
    return 'session'
  } catch (error) {
    if (!isUnannounced(error)) throw error
    return 'transaction'
  }
}

/** A pooler cannot know at the start of a session which backend it will use, and makes up a number. */
async function isPooled(session: TextSession): Promise<boolean> {
  const [row] = await session.query('select pg_backend_pid()')
  return Number(row?.[0]) !== session.processId
}

/** Rejects when requests would be refused. */
async function checkPooledRole({ address, config, session }: Subject): Promise<Found> {
  const found = 'One that keeps no sessions, as DB_POOLER says'
  const settings = pinnedSettings({
    statementTimeoutMs: config.DB_STATEMENT_TIMEOUT_MS,
    applicationName: 'taskapi',
  })
  const mustWrite = address.targetSession !== 'any'
  const repairs = await checkSession(session, settings, { mustWrite })
  if (repairs.length === 0) return ok(found)
  return warn(`${found}; the role has no limits for statements`, repairs.join('; '))
}

async function checkRights({ session }: Subject): Promise<Found> {
  const { role, missing, mayMigrate } = await readRights(session)
  const migrates = mayMigrate ? 'may migrate' : 'may not migrate'
  if (missing.length === 0) return ok(`Role "${role}" reads and writes, and ${migrates}`)
  const grants = missing.map((privilege) => `grant ${privilege} to ${quoteName(role)}`)
  return fail(
    `Role "${role}" lacks ${missing.join(', ')}`,
    `as the owner of the tables: ${grants.join('; ')}`,
  )
}

async function checkEncoding({ session }: Subject): Promise<Found> {
  const { encoding, locale, madeWith, current } = await readCollation(session)
  const found = `${encoding}, collation ${locale}`
  if (encoding !== 'UTF8') {
    return fail(found, `use a database that was made with "encoding 'UTF8' template template0"`)
  }
  if (madeWith === current) return ok(found)
  return warn(
    `${found} of version ${madeWith}, and the server has ${current}: indexes may be in another order`,
    'reindex the database, then "alter database … refresh collation version"',
  )
}

async function checkClock({ session }: Subject): Promise<Found> {
  const { aheadMs, doubtMs } = await readClock(session)
  const seconds = (Math.abs(aheadMs) / 1000).toFixed(1)
  if (Math.abs(aheadMs) <= SKEW_MS_MAX + doubtMs) return ok('That of the server and ours agree')
  return warn(
    `The server is ${seconds} s ${aheadMs > 0 ? 'ahead of' : 'behind'} this machine`,
    'synchronise the clocks of both (NTP)',
  )
}

async function checkConnections({ config, session }: Subject): Promise<Found> {
  const { LISTENERS, DB_CONNECTIONS } = config
  const needed = LISTENERS * DB_CONNECTIONS
  const needs = `${needed} needed (${countOf(LISTENERS, 'listeners')} x ${DB_CONNECTIONS})`
  if (await isPooled(session)) return ok(`${needs}; the pooler decides how many there are`)
  const { max, limit, others } = await readConnections(session)
  const found = `${needs}, ${max} allowed by ${limit}, ${others} used by others`
  const fix = 'raise that limit, or set LISTENERS or DB_CONNECTIONS lower'
  // One more is open during a start.
  if (needed + 1 > max) return fail(found, fix)
  return needed + 1 > max - others ? warn(found, fix) : ok(found)
}

async function checkMigrations({ address, config, session }: Subject): Promise<Found> {
  const migrations = await readMigrations({ address, folder: MIGRATIONS_FOLDER })
  const { mayMigrate } = await readRights(session)
  return judgeMigrations(migrations, { mayMigrate, mode: config.MIGRATE })
}

/** Whatever is listed first decides. */
const FIXES: Readonly<Record<Exclude<MigrationState, 'applied' | 'pending'>, string>> = {
  edited: 'restore the file as it was applied, and put the change into a new one',
  missing: 'serve with a version of taskapi that has the file',
  newer: 'nothing, while two versions run side by side; otherwise serve with the newer one',
}

export function judgeMigrations(
  migrations: readonly Migration[],
  { mayMigrate, mode }: { mayMigrate: boolean; mode: Config['MIGRATE'] },
): Found {
  const named = (state: MigrationState) =>
    migrations.filter((each) => each.state === state).map(({ name }) => name)
  for (const state of ['edited', 'missing'] as const) {
    const names = named(state)
    if (names.length > 0) return fail(`${names.join(', ')}: ${state}`, FIXES[state])
  }
  const pending = named('pending')
  if (pending.length > 0) {
    const found = `${pending.join(', ')}: pending`
    if (!mayMigrate) return fail(found, 'run "taskapi migrate" as the owner of the tables')
    if (mode === 'auto') return warn(found, 'nothing: the next start applies it')
    return fail(found, 'run "taskapi migrate"')
  }
  const newer = named('newer')
  if (newer.length > 0) return warn(`${newer.join(', ')}: newer than this version`, FIXES.newer)
  return ok(`All ${migrations.length} are applied`)
}
