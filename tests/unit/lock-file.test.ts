import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

interface Entry {
  version: string
  integrity?: string
}

/** What the registry could not be asked for: docs/security.md names the same. */
const UNPINNED = [
  ...['darwin-arm64', 'darwin-x64', 'linux-arm64', 'win32-x64'].flatMap((platform) =>
    ['22', '24', '26'].map((node) => `@uwsjs/${platform}-${node}@20.69.0`),
  ),
  ...['darwin-arm64', 'darwin-x64', 'linux-arm', 'linux-arm64', 'win32-x64'].flatMap((platform) =>
    ['18', '20', '22', '23'].map((node) => `@uwsjs/${platform}-${node}@20.51.4`),
  ),
]

const lock: { packages: Record<string, Entry> } = JSON.parse(
  readFileSync('package-lock.json', 'utf8'),
)
const entries = Object.entries(lock.packages)
  .filter(([path]) => path !== '')
  .map(([path, entry]) => ({
    id: `${path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length)}@${entry.version}`,
    integrity: entry.integrity,
  }))

test('every package is pinned by its hash, except those that are named', () => {
  const unpinned = entries.filter(({ integrity }) => integrity === undefined).map(({ id }) => id)
  expect(unpinned.sort()).toEqual(UNPINNED.sort())
})

test('every hash is a whole SHA-512', () => {
  const hashes = entries.flatMap(({ integrity }) => integrity ?? [])
  expect(hashes.length).toBeGreaterThan(300)
  for (const hash of hashes) expect(hash).toMatch(/^sha512-[\w+/]{86}==$/)
})

test('the page on security names what is not pinned', () => {
  const security = readFileSync('docs/security.md', 'utf8').replaceAll(/\s+/g, ' ')
  const platforms = new Set(UNPINNED.map((id) => id.replace(/^@uwsjs\/(.+)-\d+@.*$/, '$1')))
  for (const platform of platforms) expect(security).toContain(`\`${platform}\``)
  expect(security).toContain(`${UNPINNED.length} entries`)
})
