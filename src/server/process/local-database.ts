// Runs in the process that the user started, when no DATABASE_URL is set. The PostgreSQL that a newcomer gets.
import { createHash, randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type Address, readAddress } from '../../db/address.ts'
import { uidsOf } from '../../db/local/identity.ts'
import { startEmbedded } from '../../db/local/postgres.ts'
import { isAlive, readPidFile } from '../../db/local/postmaster.ts'
import {
  openOwnFolder,
  openWithoutLink,
  ownUid,
  readPrivate,
} from '../../db/local/private-files.ts'
import { answersAs, socketUrl } from '../../db/local/superuser.ts'
import { SetupError } from '../../db/setup-error.ts'
import type { Config } from '../config/config.ts'
import type { DatabaseUrl } from '../config/kinds.ts'
import { Secret } from '../config/secret.ts'
import { SETTINGS } from '../config/settings.ts'
import type { Logger } from '../observe/log.ts'
import { claim, isTaken } from './claims.ts'
import type { Running } from './running.ts'

const DATABASE_NAME = 'taskapi'
/** In `DATA_DIR`. */
export const SECRET_FILE = 'jwt-secret'
const SECRET_BYTES = 48

export interface LocalDatabase extends Running {
  settings: { DATABASE_URL: DatabaseUrl; JWT_SECRET: Secret }
}

/** Starts a local PostgreSQL in `DATA_DIR`, with a secret that is kept beside it. */
export async function startLocalDatabase(
  config: Config,
  log: Logger,
  signal: AbortSignal,
): Promise<LocalDatabase> {
  const folder = await openOwnFolder(config.DATA_DIR)
  await claimFolder(folder)
  const secret = config.JWT_SECRET ?? (await keepSecret(folder))
  const postgres = await startEmbedded({
    folder,
    database: DATABASE_NAME,
    timeoutMs: config.STARTUP_TIMEOUT_MS || Number.POSITIVE_INFINITY,
    signal,
  })
  log.info({ version: postgres.version, folder }, 'Local PostgreSQL is up')
  return {
    settings: {
      DATABASE_URL: {
        url: new Secret(postgres.url),
        address: readAddress(postgres.url),
        isLocal: true,
      },
      JWT_SECRET: secret,
    },
    drain: async () => {
      await postgres.stop()
      return true
    },
    terminate: () => postgres.terminate(),
  }
}

/** Where the local PostgreSQL answers, while a service or a command runs it. */
export async function findLocalDatabase({ DATA_DIR }: Config): Promise<Address | undefined> {
  const pidFile = await readPidFile(join(DATA_DIR, 'postgres'))
  if (!pidFile || !isAlive(pidFile.pid)) return undefined
  const [uid = ownUid()] = await uidsOf(pidFile.pid)
  if (!(await answersAs(pidFile, uid))) return undefined
  return readAddress(socketUrl(pidFile.socketFolder, DATABASE_NAME))
}

/** @param folder its real path, so that every name of it makes the same claim */
async function claimFolder(folder: string): Promise<void> {
  try {
    const name = createHash('sha256').update(folder).digest('base64url')
    await claim(`folder/${name}`)
  } catch (error) {
    if (!isTaken(error)) throw error
    const fix = 'set DATA_DIR or DATABASE_URL'
    throw new SetupError(`Cannot use "${folder}": another copy of taskapi uses it; ${fix}`, {
      cause: error,
    })
  }
}

/** The secret of the folder, made on first use. It is written to a draft and renamed, so that it is whole or absent. */
async function keepSecret(folder: string): Promise<Secret> {
  const path = join(folder, SECRET_FILE)
  const text = (await readPrivate(path))?.trim() ?? (await makeSecret(path))
  const { expected, parse } = SETTINGS.JWT_SECRET.kind
  const parsed = parse(text)
  if (!parsed) throw new SetupError(`Cannot use "${path}": expected ${expected}; fix: delete it`)
  return parsed.value
}

async function makeSecret(path: string): Promise<string> {
  const secret = randomBytes(SECRET_BYTES).toString('base64url')
  const draft = `${path}.draft`
  // One that a killed start has left.
  await rm(draft, { force: true })
  const file = await openWithoutLink(
    draft,
    constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL,
  )
  try {
    await file.writeFile(`${secret}\n`)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(draft, path)
  return secret
}
