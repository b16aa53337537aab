// Runs in the command `doctor`. Whether the service can listen where it is to; if not, whether it is there already.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import type { Config } from '../../config/config.ts'
import { isSocketPath } from '../../config/kinds.ts'
import { checkPlace, type Place, urlOf } from '../../process/place.ts'
import { askService } from '../healthcheck.ts'
import { type Found, fail, ok, warn } from './check.ts'

/** In the tables of the kernel: the state of a socket that listens. */
const LISTENING = '0A'
const HEALTHY = '{"status":"ok"}'

export async function checkPort(config: Config): Promise<Found> {
  const url = urlOf(config)
  try {
    await checkPlace(config)
    return ok(config.SERVER_PORT === 0 ? 'A free one will be taken' : `${url} is free`)
  } catch (error) {
    const health = await askService(config, '/health').catch(() => undefined)
    if (health?.body === HEALTHY) return checkReadiness(config, url)
    return describeTaken(config, error)
  }
}

/** Nothing is found where there is to be none. */
export async function checkAdminPort(config: Config): Promise<Found[]> {
  if (config.ADMIN_PORT === undefined) return []
  const place = { SERVER_HOST: config.ADMIN_HOST, SERVER_PORT: config.ADMIN_PORT }
  const url = urlOf(place)
  try {
    await checkPlace(place)
    return [ok(config.ADMIN_PORT === 0 ? 'A free one will be taken' : `${url} is free`)]
  } catch (error) {
    const alive = await askService(place, '/livez').catch(() => undefined)
    if (alive?.status === 200) return [ok(`taskapi answers on ${url}`)]
    const { found, fix } = describeTaken(place, error)
    return [fail(found, fix?.replaceAll('SERVER_', 'ADMIN_') ?? 'set ADMIN_PORT to a free port')]
  }
}

function describeTaken(place: Place, error: unknown): Found {
  const message = error instanceof Error ? error.message : String(error)
  const [found = '', fix = 'set SERVER_HOST to another place'] = message.split('; ')
  const owner = isSocketPath(place.SERVER_HOST) ? undefined : findOwner(place.SERVER_PORT)
  return fail(owner ? `${found} (${owner})` : found, fix)
}

/** A service that listens is what one wants to find there, unless it does not serve. */
async function checkReadiness(config: Config, url: string): Promise<Found> {
  const answer = await askService(config, '/ready')
  if (answer.status === 200) return ok(`taskapi serves on ${url}`)
  const reason = /"error":"([^"]*)"/.exec(answer.body)?.[1] ?? `status ${answer.status}`
  return warn(`taskapi listens on ${url}, and is not ready: ${reason}`, 'see the other checks')
}

/** The program that listens on the port, as far as this user may see it. Linux only. */
function findOwner(port: number): string | undefined {
  try {
    const inode = findInode(port)
    const pid = readdirSync('/proc').find((name) => inode !== undefined && holds(name, inode))
    if (pid === undefined) return undefined
    return `"${readFileSync(`/proc/${pid}/comm`, 'utf8').trim()}", pid ${pid}`
  } catch {
    return undefined
  }
}

function findInode(port: number): string | undefined {
  const digits = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  const rows = ['tcp', 'tcp6'].flatMap((table) => readText(`/proc/net/${table}`).split('\n'))
  const columns = rows.map((row) => row.trim().split(/\s+/))
  return columns.find(([, local, , state]) => local?.endsWith(digits) && state === LISTENING)?.[9]
}

function holds(pid: string, inode: string): boolean {
  if (!/^\d+$/.test(pid)) return false
  try {
    const folder = `/proc/${pid}/fd`
    return readdirSync(folder).some(
      (name) => readlinkSync(`${folder}/${name}`) === `socket:[${inode}]`,
    )
  } catch {
    // It belongs to another user, or has ended.
    return false
  }
}

/** Empty without IPv6. */
function readText(path: string): string {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return ''
  }
}
