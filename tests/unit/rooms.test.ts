// Who may import whom, in src and bench. Lint checks it, too, but does not see an import() that loads something late.
import { globSync, readFileSync } from 'node:fs'
import { dirname, normalize, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const SPECIFIER = /\b(?:from|import)\s*\(?\s*'([^']+)'/g

/** The rooms that each room may import from, besides itself. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  'src/server': ['src/server/cli', 'src/server/process', 'src/workers'],
  'src/server/cli': [
    'src/server/process',
    'src/server/api',
    'src/server/http',
    'src/server/observe',
    'src/server/config',
    'src/db',
  ],
  'src/server/process': [
    'src/server/api',
    'src/server/http',
    'src/server/observe',
    'src/server/config',
    'src/db',
    'src/workers',
    'src/stats',
  ],
  'src/server/api': ['src/server/http', 'src/server/observe', 'src/db', 'src/workers'],
  'src/server/http': ['src/server/observe', 'src/server/config', 'src/stats'],
  'src/server/observe': [],
  'src/server/config': ['src/db'],
  'src/workers': ['src/stats'],
  'src/db': ['src/stats'],
  // What counts, for all who count; it knows nothing of them.
  'src/stats': [],
}
/** Knows where the root is, so any room may import it. */
const ROOT_FILE = 'src/server/root.ts'

const files = globSync(['src/**/*.ts', 'bench/**/*.ts'], { cwd: ROOT })
  .map((file) => file.replaceAll('\\', '/'))
  .filter((file) => !file.startsWith('bench/peers'))

const importsOf = new Map(
  files.map((file) => {
    const text = readFileSync(`${ROOT}${file}`, 'utf8')
    const specifiers = [...text.matchAll(SPECIFIER)].map((match) => match[1] ?? '')
    const local = specifiers.filter((specifier) => specifier.startsWith('.'))
    const targets = local.map((specifier) => normalize(`${dirname(file)}/${specifier}`))
    return [file, [...new Set(targets)].filter((target) => target.endsWith('.ts'))]
  }),
)

function roomOf(file: string): string {
  const parts = file.split('/')
  const depth = parts[1] === 'server' && parts.length > 3 ? 3 : 2
  return parts.slice(0, depth).join('/')
}

test('there are files, and what they import exists', () => {
  expect(files.length).toBeGreaterThan(60)
  for (const [file, targets] of importsOf) {
    for (const target of targets) expect(files, `${file} imports it`).toContain(target)
  }
})

test('every room of src imports only from the rooms below it', () => {
  const wrong = [...importsOf]
    .filter(([file]) => file.startsWith('src/') && file !== ROOT_FILE)
    .flatMap(([file, targets]) =>
      targets
        .filter((target) => {
          const [from, to] = [roomOf(file), roomOf(target)]
          return from !== to && target !== ROOT_FILE && !MAY_IMPORT[from]?.includes(to)
        })
        .map((target) => `${file} -> ${target}`),
    )
  expect(wrong).toEqual([])
})

test('no file can be reached from itself', () => {
  const state = new Map<string, 'open' | 'done'>()
  const circles: string[] = []
  const visit = (file: string, path: readonly string[]) => {
    if (state.get(file) === 'done') return
    if (state.get(file) === 'open') {
      const circle = path.slice(path.indexOf(file))
      circles.push(circle.map((each) => relative('', each)).join(' -> '))
      return
    }
    state.set(file, 'open')
    for (const target of importsOf.get(file) ?? []) visit(target, [...path, file])
    state.set(file, 'done')
  }
  for (const file of files) visit(file, [])
  expect(circles).toEqual([])
})

test('only their own rooms import the driver and uWebSockets.js', () => {
  const users = (name: RegExp) =>
    files.filter(
      (file) => file.startsWith('src/') && name.test(readFileSync(`${ROOT}${file}`, 'utf8')),
    )
  for (const file of users(/from 'postgres'/)) expect(file).toMatch(/^src\/db\/driver\//)
  // Loaded late, and only there: a start without DB_CLIENT=postgres does without its memory.
  for (const file of users(/\/driver\//)) {
    expect(['src/db/clients.ts', 'src/db/backup/session.ts']).toContain(file)
  }
  for (const file of users(/\('uWebSockets\.js|from 'uWebSockets\.js/))
    expect(file).toBe('src/server/http/uws.ts')
})
