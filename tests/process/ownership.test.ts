// What other users of the machine can do to the local PostgreSQL and to DATA_DIR: as real processes with their user ids.
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import {
  chmod,
  chown,
  copyFile,
  lchown,
  mkdir,
  mkdtemp,
  readFile,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { readAddress } from '../../src/db/address.ts'
import { openClient } from '../../src/db/driver/client.ts'
import { prepareBinaries } from '../../src/db/local/binaries.ts'
import { handOver, uidsOf } from '../../src/db/local/identity.ts'
import { type EmbeddedPostgres, startEmbedded } from '../../src/db/local/postgres.ts'
import { isAlive, readPidFile } from '../../src/db/local/postmaster.ts'
import { spawnPostgres } from '../../src/db/local/programs.ts'
import { childrenOf } from '../faults/server.ts'
import { eventually } from '../support/client.ts'
import { type Outpost, openOutpost } from '../support/other-user.ts'
import { runMain } from '../support/service.ts'

const NOBODY = { uid: 65_534, gid: 65_534 }
const STRANGER_UID = 61_500
const DATABASE = 'owned'
const SECRET = 'a secret that is long enough for the service'
const isRoot = process.getuid?.() === 0

let folder: string
let dataFolder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'taskapi-owned-'))
  dataFolder = join(folder, 'postgres')
})

afterEach(async () => {
  await rm(folder, { recursive: true })
})

function start(place = folder): Promise<EmbeddedPostgres> {
  return startEmbedded({ folder: place, database: DATABASE, timeoutMs: 60_000 })
}

async function query(url: string, text: string): Promise<Record<string, unknown>[]> {
  const sql = openClient(readAddress(url), { max: 1, connectTimeoutMs: 5000 })
  try {
    return [...(await sql.unsafe(text))]
  } finally {
    await sql.end()
  }
}

function socketFolderOf({ url }: EmbeddedPostgres): string {
  return new URL(url).searchParams.get('host') ?? ''
}

async function postmasterOf(place: string): Promise<number> {
  return (await readPidFile(place))?.pid ?? 0
}

describe.skipIf(!isRoot)('the PostgreSQL that root starts (needs root)', () => {
  let outpost: Outpost

  beforeAll(async () => {
    outpost = await openOutpost()
  })

  afterAll(() => outpost.close())

  /** Each attack, and how the kernel answers it. */
  function attack(uid: number, pid: number, socketFolder: string): Promise<unknown> {
    return outpost.runAs(
      uid,
      `import { closeSync, openSync, readdirSync, writeFileSync } from 'node:fs'
       import { connect } from 'node:net'
       const attempt = (work) => {
         try { work(); return 'done' } catch (error) { return error.code }
       }
       const connected = await new Promise((settle) => {
         const socket = connect('${socketFolder}/.s.PGSQL.5432')
         socket.once('connect', () => { socket.destroy(); settle('done') })
         socket.once('error', (error) => settle(error.code))
       })
       report({
         connect: connected,
         read: attempt(() => readdirSync('/proc/${pid}/cwd/base')),
         write: attempt(() => writeFileSync('/proc/${pid}/cwd/planted', '')),
         trace: attempt(() => closeSync(openSync('/proc/${pid}/mem', 'r+'))),
         signal: attempt(() => process.kill(${pid}, 'SIGHUP')),
       })`,
    )
  }

  test('cannot be reached, read, changed, traced or signalled by a process of nobody', async () => {
    const postgres = await start()
    const pid = await postmasterOf(dataFolder)
    const socketFolder = socketFolderOf(postgres)
    expect(await attack(NOBODY.uid, pid, socketFolder)).toEqual({
      connect: 'EACCES',
      read: 'EACCES',
      write: 'EACCES',
      trace: 'EACCES',
      signal: 'EPERM',
    })
    // All of them are real: for a process of the server's own user each succeeds.
    const { uid } = await stat(dataFolder)
    const done = 'done'
    expect(await attack(uid, pid, socketFolder)).toEqual({
      connect: done,
      read: done,
      write: done,
      trace: done,
      signal: done,
    })
    await postgres.stop()
  })

  test('runs as a number that has no account and that two folders do not share', async () => {
    const other = await mkdtemp(join(tmpdir(), 'taskapi-owned-'))
    const servers = [await start(), await start(other)]
    const uids = []
    for (const place of [dataFolder, join(other, 'postgres')]) {
      const postmaster = await postmasterOf(place)
      const [uid = 0] = await uidsOf(postmaster)
      for (const pid of [postmaster, ...childrenOf(postmaster)]) {
        expect(await uidsOf(pid)).toEqual([uid, uid, uid, uid])
      }
      expect(await readFile('/etc/passwd', 'utf8')).not.toMatch(
        new RegExp(`^[^:]*:[^:]*:${uid}:`, 'm'),
      )
      uids.push(uid)
    }
    expect(uids[0]).not.toBe(uids[1])
    expect(uids).not.toContain(0)
    for (const server of servers) await server.stop()
    await rm(other, { recursive: true })
  })

  test('keeps its user and its data from one start to the next', async () => {
    const first = await start()
    const { uid } = await stat(dataFolder)
    await query(first.url, 'create table kept as select 42 as answer')
    await first.stop()
    const second = await start()
    expect((await stat(dataFolder)).uid).toBe(uid)
    expect(await query(second.url, 'select answer from kept')).toEqual([{ answer: 42 }])
    await second.stop()
  })

  test('that an earlier version has run as nobody is taken over with its data', async () => {
    await makeClusterOfNobody()
    const postgres = await start()
    expect(await query(postgres.url, 'select answer from kept')).toEqual([{ answer: 42 }])
    await expectTakenOver(postgres)
  })

  test('that still runs as nobody is stopped first, and taken over with its data', async () => {
    await makeClusterOfNobody()
    const { child, socketFolder } = await runAsNobody(dataFolder)
    const postgres = await start()
    expect(isAlive(child.pid ?? 0)).toBe(false)
    expect(socketFolderOf(postgres)).not.toBe(socketFolder)
    expect(await query(postgres.url, 'select answer from kept')).toEqual([{ answer: 42 }])
    await expectTakenOver(postgres)
  })

  test('whose files were only half taken over is taken over wholly', async () => {
    const first = await start()
    await query(first.url, 'create table kept as select 42 as answer')
    await first.stop()
    handOver(join(dataFolder, 'base'), NOBODY)
    const postgres = await start()
    expect(await query(postgres.url, 'select answer from kept')).toEqual([{ answer: 42 }])
    await expectTakenOver(postgres)
  })

  test("is not confused with another user's server that has its pid after a restart", async () => {
    await (await start()).stop()
    const lure = await mkdtemp(join(tmpdir(), 'taskapi-owned-'))
    await (await start(lure)).stop()
    handOver(join(lure, 'postgres'), NOBODY)
    const { child, socketFolder } = await runAsNobody(join(lure, 'postgres'))
    await copyFile(join(lure, 'postgres/postmaster.pid'), join(dataFolder, 'postmaster.pid'))

    const postgres = await start()
    expect(socketFolderOf(postgres)).not.toBe(socketFolder)
    expect(isAlive(child.pid ?? 0)).toBe(true)
    await postgres.stop()
    child.kill('SIGINT')
    await once(child, 'exit')
    await rm(socketFolder, { recursive: true })
    await rm(lure, { recursive: true })
  })

  test('of a stranger in our folder is refused', async () => {
    await mkdir(dataFolder, { mode: 0o700 })
    await chown(dataFolder, STRANGER_UID, STRANGER_UID)
    await expect(start()).rejects.toThrow(
      `Cannot use "${dataFolder}": it belongs to another user (uid ${STRANGER_UID}); fix: chown -R 0 "${dataFolder}"`,
    )
  })

  test('listens in no folder that another user has made or can write', async () => {
    await (await start()).stop()
    const socketFolder = await mkdtemp(join(tmpdir(), 'taskapi-owned-'))
    const options = { folder, database: DATABASE, timeoutMs: 60_000, socketFolder }
    await chmod(socketFolder, 0o777)
    await expect(startEmbedded(options)).rejects.toThrow(`Cannot use "${socketFolder}"`)
    await chmod(socketFolder, 0o700)
    await chown(socketFolder, NOBODY.uid, NOBODY.gid)
    await expect(startEmbedded(options)).rejects.toThrow(`Cannot use "${socketFolder}"`)
    await rm(socketFolder, { recursive: true })
  })

  async function makeClusterOfNobody(): Promise<void> {
    const postgres = await start()
    await query(postgres.url, 'create table kept as select 42 as answer')
    await postgres.stop()
    handOver(dataFolder, NOBODY)
  }

  async function runAsNobody(
    place: string,
  ): Promise<{ child: ChildProcess; socketFolder: string }> {
    const socketFolder = await mkdtemp(join(tmpdir(), 'taskapi-owned-'))
    handOver(socketFolder, NOBODY)
    const child = spawnPostgres('postgres', {
      home: await prepareBinaries({ forOthers: true }),
      dataFolder: place,
      identity: NOBODY,
      flags: ['-c', 'listen_addresses=', '-c', `unix_socket_directories=${socketFolder}`],
    })
    await eventually('the server of nobody', async () => {
      const text = await readFile(join(place, 'postmaster.pid'), 'utf8').catch(() => '')
      return text.includes('ready')
    })
    return { child, socketFolder }
  }

  async function expectTakenOver(postgres: EmbeddedPostgres): Promise<void> {
    const { uid } = await stat(dataFolder)
    expect(uid).not.toBe(NOBODY.uid)
    expect((await stat(join(dataFolder, 'base'))).uid).toBe(uid)
    expect(await uidsOf(await postmasterOf(dataFolder))).toEqual([uid, uid, uid, uid])
    await postgres.stop()
  }
})

describe('DATA_DIR is refused', () => {
  async function refusal(place = folder): Promise<string> {
    const running = await runMain({ DATA_DIR: place, SERVER_HOST: '127.0.0.1', SERVER_PORT: '0' })
    expect((await running.exited).code).toBe(1)
    const output = running.stderr() + JSON.stringify(running.lines)
    expect(output).not.toContain(SECRET)
    return running.stderr()
  }

  async function keepSecret(mode: string): Promise<string> {
    const path = join(folder, 'jwt-secret')
    await writeFile(path, `${SECRET}\n`)
    await chmod(path, mode)
    return path
  }

  test.each(['770', '702'])('when others can write it: mode %s', async (mode) => {
    await chmod(folder, mode)
    expect(await refusal()).toContain(
      `Cannot use "${folder}": other users can write it; fix: chmod go-w "${folder}"`,
    )
  })

  test.each(['640', '604', '620', '602'])(
    'when others can read or write its secret: mode %s',
    async (mode) => {
      const path = await keepSecret(mode)
      expect(await refusal()).toContain(
        `Cannot use "${path}": other users can read or write it; fix: chmod 600 "${path}"`,
      )
    },
  )

  test('when its secret is a link, even to a good one', async () => {
    const elsewhere = join(folder, 'elsewhere')
    await writeFile(elsewhere, `${SECRET}\n`, { mode: 0o600 })
    const path = join(folder, 'jwt-secret')
    await symlink(elsewhere, path)
    expect(await refusal()).toContain(`Cannot use "${path}": it is a symbolic link`)
  })

  test('when its secret is a folder', async () => {
    const path = join(folder, 'jwt-secret')
    await mkdir(path, { mode: 0o700 })
    expect(await refusal()).toContain(`Cannot use "${path}": it is not a file`)
  })

  test('when its log is a link, and links are not followed to write through them', async () => {
    const victim = join(folder, 'victim')
    await writeFile(victim, 'untouched')
    await symlink(victim, join(folder, 'postgres.log'))
    await symlink(victim, join(folder, 'jwt-secret.draft'))
    const log = join(folder, 'postgres.log')
    expect(await refusal()).toContain(
      `Cannot use "${log}": it is a symbolic link; fix: rm "${log}"`,
    )
    expect(await readFile(victim, 'utf8')).toBe('untouched')
    const secret = await stat(join(folder, 'jwt-secret'))
    expect(secret.mode & 0o777).toBe(0o600)
  })

  describe.skipIf(!isRoot)('because of its owner (needs root)', () => {
    test('when it belongs to another user', async () => {
      await chown(folder, STRANGER_UID, STRANGER_UID)
      expect(await refusal()).toContain(
        `Cannot use "${folder}": it belongs to another user (uid ${STRANGER_UID}); fix: chown -R 0 "${folder}"`,
      )
    })

    test('when its secret belongs to another user', async () => {
      const path = await keepSecret('600')
      await chown(path, STRANGER_UID, STRANGER_UID)
      expect(await refusal()).toContain(
        `Cannot use "${path}": it belongs to another user (uid ${STRANGER_UID}); fix: chown 0 "${path}"`,
      )
    })

    test("when it is another user's link, though to a folder of ours", async () => {
      const target = join(folder, 'target')
      const link = join(folder, 'link')
      await mkdir(target, { mode: 0o700 })
      await symlink(target, link)
      await lchown(link, STRANGER_UID, STRANGER_UID)
      expect(await refusal(link)).toContain(
        `Cannot use "${link}": it is a link of another user (uid ${STRANGER_UID})`,
      )
    })
  })
})

test.skipIf(!isRoot)(
  'an ordinary user trusts his own files and none of others (needs root)',
  async () => {
    const outpost = await openOutpost()
    await chmod(folder, 0o755)
    await mkdir(join(outpost.folder, 'local'))
    for (const file of ['local/private-files.ts', 'setup-error.ts']) {
      const source = new URL(`../../src/db/${file}`, import.meta.url)
      await copyFile(source, join(outpost.folder, file))
    }
    const own = { uid: NOBODY.uid, mode: 0o700 }
    for (const [name, { uid, mode }] of Object.entries({
      own,
      open: { ...own, mode: 0o770 },
      root: { uid: 0, mode: 0o755 },
    })) {
      await mkdir(join(folder, name))
      await chmod(join(folder, name), mode)
      await chown(join(folder, name), uid, uid)
    }
    for (const [name, uid] of Object.entries({
      mine: NOBODY.uid,
      roots: 0,
      strange: STRANGER_UID,
    })) {
      await symlink('own', join(folder, name))
      await lchown(join(folder, name), uid, uid)
    }
    const results = await outpost.runAs(
      NOBODY.uid,
      `import { openOwnFolder, readPrivate } from './local/private-files.ts'
     import { writeFileSync } from 'node:fs'
     const folder = ${JSON.stringify(folder)}
     const open = (name) => openOwnFolder(folder + '/' + name).catch((error) => error.message)
     const results = {}
     for (const name of ['own', 'open', 'root', 'mine', 'roots', 'strange']) results[name] = await open(name)
     writeFileSync(folder + '/own/secret', 'text', { mode: 0o600 })
     results.secret = await readPrivate(folder + '/own/secret')
     results.rootsSecret = await readPrivate('/etc/passwd').catch((error) => error.message)
     report(results)`,
    )
    await outpost.close()
    const real = join(folder, 'own')
    const refuse = (name: string, reason: string) => `Cannot use "${join(folder, name)}": ${reason}`
    expect(results).toEqual({
      own: real,
      open: refuse('open', `other users can write it; fix: chmod go-w "${join(folder, 'open')}"`),
      root: refuse(
        'root',
        `it belongs to another user (uid 0); fix: chown -R ${NOBODY.uid} "${join(folder, 'root')}"`,
      ),
      mine: real,
      roots: real,
      strange: refuse(
        'strange',
        `it is a link of another user (uid ${STRANGER_UID}); fix: rm "${join(folder, 'strange')}"`,
      ),
      secret: 'text',
      rootsSecret: `Cannot use "/etc/passwd": it belongs to another user (uid 0); fix: chown ${NOBODY.uid} "/etc/passwd"`,
    })
  },
)
