// Runs in the command `doctor`. Whether what this process may use is enough for what is configured.
import { constants, existsSync, statSync } from 'node:fs'
import { access } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { findPackage } from '../../../db/local/binaries.ts'
import { openOwnFolder } from '../../../db/local/private-files.ts'
import type { Config } from '../../config/config.ts'
import { countCpus, readCpuQuota } from '../../config/cpus.ts'
import { possibleConnections } from '../../http/connections.ts'
import { connectionLimit } from '../../process/connection-limit.ts'
import { planMemory, readBounds, toMegabytes } from '../../process/memory.ts'
import { countOf } from '../count.ts'
import { type Check, type Found, fail, ok, warn } from './check.ts'
import { checkAdminPort, checkPort } from './port.ts'

export function machineChecks(config: Config): Check[] {
  return [
    { name: 'port', run: () => checkPort(config) },
    { name: 'admin port', run: () => checkAdminPort(config) },
    { name: 'open files', run: () => checkDescriptors(config) },
    { name: 'CPUs', run: () => judgeCpus(config.LISTENERS, countCpus(), readCpuQuota()) },
    { name: 'memory', run: () => checkMemory(config) },
  ]
}

export function folderCheck(config: Config): Check {
  return { name: 'DATA_DIR', run: () => checkFolder(config.DATA_DIR) }
}

function checkDescriptors(config: Config): Found {
  const limit = connectionLimit(config)
  const { descriptors, possible } = possibleConnections(limit)
  const found = `${descriptors} allowed: enough for ${possible} clients of each listener`
  const wanted = `MAX_CONNECTIONS is ${limit.connections}`
  if (limit.connections <= possible) return ok(`${found}, and ${wanted}`)
  const more = descriptors + limit.connections - possible
  return warn(
    `${found}, but ${wanted}`,
    `allow ${more} (ulimit -n, LimitNOFILE of systemd), or set MAX_CONNECTIONS to ${possible}`,
  )
}

export function judgeCpus(listeners: number, cpus: number, quota: number): Found {
  const limited = Number.isFinite(quota) ? ` (a quota of ${quota.toFixed(1)})` : ''
  const found = `${cpus} for ${countOf(listeners, 'listeners')}${limited}`
  if (listeners <= cpus) return ok(found)
  return warn(`${found}: they take turns`, `set LISTENERS to ${cpus}, or leave it out`)
}

function checkMemory(config: Config): Found {
  const { memory, needed, advice } = planMemory(config, readBounds())
  const found = `${toMegabytes(memory)} MB, of which all processes may take ${toMegabytes(needed)} MB`
  if (advice === undefined) return ok(found)
  return warn(`${found}: the kernel kills what exceeds it`, advice)
}

/** Of the local PostgreSQL and of the secret. Rejects when it cannot be used. */
async function checkFolder(name: string): Promise<Found> {
  findPackage()
  const path = resolve(name)
  if (existsSync(path)) {
    const folder = await openOwnFolder(path)
    await access(folder, constants.W_OK)
    return ok(`${folder} can be written`)
  }
  const parent = findExisting(dirname(path))
  const isWritable = await access(parent, constants.W_OK).then(
    () => statSync(parent).isDirectory(),
    () => false,
  )
  if (isWritable) return ok(`${path} will be made at the first start`)
  return fail(`"${parent}" cannot be written`, 'set DATA_DIR to a folder that this user may write')
}

function findExisting(path: string): string {
  return existsSync(path) ? path : findExisting(dirname(path))
}
