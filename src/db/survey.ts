// Runs in the command `doctor`. What a server, a database and a role are like. Reads only.
import { BACKED_UP, LEFT_OUT, quoteText } from './backup/tables.ts'
import type { TextSession } from './wire/text-session.ts'

/** The record of the migrations is only read by requests. */
const RECORDS = 'schema_migrations'
const PRIVILEGES = ['select', 'insert', 'update', 'delete'] as const

type Asked = Pick<TextSession, 'query'>

export interface Server {
  readonly version: string
  readonly major: number
  readonly isStandby: boolean
}

export async function readServer(session: Asked): Promise<Server> {
  const [number, version, isStandby] = await askOne(
    session,
    `select current_setting('server_version_num'), current_setting('server_version'), pg_is_in_recovery()`,
  )
  return { version, major: Math.floor(Number(number) / 10_000), isStandby: isStandby === 't' }
}

export interface Collation {
  readonly encoding: string
  readonly locale: string
  /** Empty where the locale has no versions. */
  readonly madeWith: string
  /** The version that the server has now. */
  readonly current: string
}

/** Needs PostgreSQL 15. */
export async function readCollation(session: Asked): Promise<Collation> {
  const [encoding, locale, madeWith, current] = await askOne(
    session,
    `select pg_encoding_to_char(encoding), datcollate, datcollversion, pg_database_collation_actual_version(oid)
     from pg_database where datname = current_database()`,
  )
  return { encoding, locale, madeWith, current }
}

export interface Rights {
  readonly role: string
  /** Such as `insert on tasks`. */
  readonly missing: readonly string[]
  /** May make tables, and owns those that there are. */
  readonly mayMigrate: boolean
}

export async function readRights(session: Asked): Promise<Rights> {
  const names = [...BACKED_UP.map(({ name }) => name), ...LEFT_OUT].map(quoteText).join(', ')
  const privileges = PRIVILEGES.map(quoteText).join(', ')
  const [role, mayMigrate, missing] = await askOne(
    session,
    `with found as (
       select name, c.* from unnest(array[${names}]) as wanted (name)
       join pg_class c on c.oid = to_regclass(name)
     )
     select current_user,
       coalesce(has_schema_privilege(current_schema(), 'create'), false)
         and not exists (select from found where not pg_has_role(relowner, 'usage')),
       (select string_agg(privilege || ' on ' || name, ', ' order by name, privilege)
        from found, unnest(array[${privileges}]) as privilege
        where not has_table_privilege(oid, privilege)
          and (privilege = 'select' or name <> '${RECORDS}'))`,
  )
  return { role, mayMigrate: mayMigrate === 't', missing: missing ? missing.split(', ') : [] }
}

export interface Connections {
  /** That this role may have in this database; what is reserved for superusers does not count. */
  readonly max: number
  /** What sets `max`. */
  readonly limit: string
  /** Of other clients than this service. */
  readonly others: number
}

export async function readConnections(session: Asked): Promise<Connections> {
  const [max, limit, others] = await askOne(
    session,
    `select number, limited_by, (
       select count(*) from pg_stat_activity
       where backend_type = 'client backend'
         and not (usename = current_user and application_name like 'taskapi%'))
     from (
       select current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
         - coalesce(current_setting('reserved_connections', true), '0')::int, 'max_connections of the server'
       union all
       select rolconnlimit, 'the limit of the role' from pg_roles where rolname = current_user and not rolsuper
       union all
       select datconnlimit, 'the limit of the database' from pg_database where datname = current_database()
     ) as limits (number, limited_by)
     where number >= 0 order by number limit 1`,
  )
  return { max: Number(max), limit, others: Number(others) }
}

/** By how much the clock of the server is ahead of this machine's, and what of it may be the way of the answer. */
export async function readClock(session: Asked): Promise<{ aheadMs: number; doubtMs: number }> {
  const sentMs = Date.now()
  const [seconds] = await askOne(session, 'select extract(epoch from clock_timestamp())')
  const doubtMs = (Date.now() - sentMs) / 2
  return { aheadMs: Math.round(1000 * Number(seconds) - sentMs - doubtMs), doubtMs }
}

/** The first columns of the only row; null is the empty string. */
async function askOne(session: Asked, text: string): Promise<[string, string, string, string]> {
  const [[first, second, third, fourth] = []] = await session.query(text)
  return [first ?? '', second ?? '', third ?? '', fourth ?? '']
}
