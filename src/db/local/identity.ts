// Runs where the local PostgreSQL is started. The user that PostgreSQL runs as when root starts it: it refuses to be root.
import { createHash } from 'node:crypto'
import { lchownSync, lstatSync, readdirSync } from 'node:fs'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { SetupError } from '../setup-error.ts'
import { ignore } from './binaries.ts'

export interface Identity {
  uid: number
  gid: number
}

/** Distributions and systemd give these numbers to nobody, and a container with 65536 user ids has them too. */
const UID_MIN = 60_928
const UID_COUNT = 256
/** From here on /etc/passwd has people, who may log in at any time. */
const SYSTEM_UID_MAX = 999
const PASSWD_UID = 2
const NOBODY = 'nobody'

/**
 * The user for the server of `dataFolder`, or `undefined` unless root asks: the server then runs as the current user. It
 * is a number that no account, group or process has: who shares a user id with the server can trace and kill it. The
 * owner of a cluster that exists stays its owner.
 */
export async function serverIdentity(dataFolder: string): Promise<Identity | undefined> {
  if (process.geteuid?.() !== 0) return undefined
  const taken = new Set(await idsIn('/etc/passwd'))
  for (const gid of await idsIn('/etc/group')) taken.add(gid)
  const owner = (await stat(dataFolder).catch(ignore('ENOENT')))?.uid ?? 0
  if (isReserved(owner) && !taken.has(owner)) return { uid: owner, gid: owner }
  for (const uid of await busyUids()) taken.add(uid)
  const uid = findFreeUid(dataFolder, taken)
  if (uid === undefined) throw new SetupError(`Cannot choose a user for PostgreSQL: ${CHOICE}`)
  return { uid, gid: uid }
}

const CHOICE = 'start as another user than root, or set DATABASE_URL'

/** The first number that is free, from one that depends on `seed`: two clusters rarely have the same. */
export function findFreeUid(seed: string, taken: ReadonlySet<number>): number | undefined {
  const start = createHash('sha256').update(seed).digest().readUInt16BE() % UID_COUNT
  for (let step = 0; step < UID_COUNT; step++) {
    const uid = UID_MIN + ((start + step) % UID_COUNT)
    if (!taken.has(uid)) return uid
  }
  return undefined
}

/**
 * The user that may run initdb, which wants one with a line in /etc/passwd. It is a system account that runs no process,
 * so that none can trace initdb or change its files before they are handed over.
 */
export async function initdbIdentity({ gid }: Identity): Promise<Identity> {
  const uid = findIdleAccount(await readFile('/etc/passwd', 'utf8'), await busyUids())
  if (uid !== undefined) return { uid, gid }
  const lack =
    'every system account of /etc/passwd runs processes, and initdb needs one that is idle'
  throw new SetupError(`Cannot make a PostgreSQL cluster as root: ${lack}; ${CHOICE}`)
}

/** `nobody` comes last, because programs that want no user of their own become it at any time. */
export function findIdleAccount(passwd: string, busy: ReadonlySet<number>): number | undefined {
  const accounts = passwd.split('\n').map((line) => line.split(':'))
  const system = accounts.filter(([, , uid]) => Number(uid) > 0 && Number(uid) <= SYSTEM_UID_MAX)
  const nobody = accounts.filter(([name]) => name === NOBODY)
  const uids = [...system, ...nobody].map((fields) => Number(fields[PASSWD_UID]))
  return uids.find((uid) => !busy.has(uid))
}

/** Who may own a cluster that root starts: earlier versions ran it as `nobody`. */
export async function formerOwners({ uid }: Identity): Promise<number[]> {
  const lines = (await readFile('/etc/passwd', 'utf8')).split('\n')
  const nobody = lines.find((line) => line.startsWith(`${NOBODY}:`))?.split(':')[PASSWD_UID]
  return nobody === undefined ? [0, uid] : [0, uid, Number(nobody)]
}

/**
 * Gives a folder and all that is in it to `identity`. A folder goes before what is in it, so that its former owner can no
 * longer put a link where we are about to look; links are given themselves, not what they lead to.
 */
export function handOver(path: string, identity: Identity): void {
  try {
    const { uid, gid } = lstatSync(path)
    if (uid !== identity.uid || gid !== identity.gid) lchownSync(path, identity.uid, identity.gid)
    if (!lstatSync(path).isDirectory()) return
    for (const entry of readdirSync(path)) handOver(join(path, entry), identity)
  } catch (error) {
    // Backends of a server that was killed may still remove their temporary files.
    ignore('ENOENT')(error)
  }
}

/** The user ids of a process: real, effective, saved, and of its files. Empty without /proc, or when it has ended. */
export async function uidsOf(pid: number | string): Promise<number[]> {
  const text = await readFile(`/proc/${pid}/status`, 'utf8').catch(ignore('ENOENT', 'ESRCH'))
  const line = /^Uid:(.*)$/m.exec(text ?? '')?.[1]
  return line?.trim().split(/\s+/).map(Number) ?? []
}

async function busyUids(): Promise<Set<number>> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  return new Set((await Promise.all(pids.map(uidsOf))).flat())
}

/** The third column of /etc/passwd or /etc/group. */
async function idsIn(file: string): Promise<number[]> {
  const lines = ((await readFile(file, 'utf8').catch(ignore('ENOENT'))) ?? '').split('\n')
  return lines.map((line) => Number(line.split(':')[2])).filter((id) => id > 0)
}

function isReserved(uid: number): boolean {
  return uid >= UID_MIN && uid < UID_MIN + UID_COUNT
}
