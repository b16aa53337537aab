// Runs in the command `doctor`. Whether Node and this machine can run the service.
import { describePlatform, findUws, versionOf } from '../../http/uws.ts'
import { NODE_NEEDED } from '../../root.ts'
import { type Check, type Found, fail, ok } from './check.ts'

/** As the loader of Linux says it. */
const MISSING_GLIBC = /version `(GLIBC_[\d.]+)' not found/

export const platformChecks: readonly Check[] = [
  { name: 'Node', run: checkNode },
  { name: 'uWebSockets.js', run: checkUws },
]

function checkNode(): Found {
  const platform = describePlatform()
  if (process.platform === 'win32') {
    return fail(platform, 'Windows is not supported: use Linux, or the container')
  }
  const needed = NODE_NEEDED.replace(/[^\d.]/g, '')
  if (process.versions.node.localeCompare(needed, 'en', { numeric: true }) >= 0) return ok(platform)
  return fail(`${platform}; needed is Node ${needed} or newer`, 'run it with Node 22, 24 or 26')
}

function checkUws(): Found {
  const { uws, failures } = findUws()
  const version = versionOf(uws)
  if (failures.length === 0) return ok(version)
  const text = failures.join('; ')
  const [, glibc] = MISSING_GLIBC.exec(text) ?? []
  return ok(`${version}; the newer one does not load: ${glibc ? `it needs ${glibc}` : text}`)
}
