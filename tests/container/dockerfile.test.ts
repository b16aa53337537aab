// What can be said of the Dockerfile without following it.
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { SETTINGS } from '../../src/server/config/settings.ts'
import { V8_FLAGS } from '../../src/server/process/heap.ts'
import { listUnknown, readConfig, readStages } from './dockerfile.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const stages = await readStages(`${ROOT}Dockerfile`)
const [build, debug, final] = stages

test('it has a stage that builds, one to look into, and the one that runs', () => {
  expect(stages.map(({ name }) => name)).toEqual(['build', 'debug', undefined])
  expect(listUnknown(stages)).toEqual([])
})

test('the stage to look into runs the service as the last one does', () => {
  if (!debug || !final) throw new Error('A stage is missing')
  const [, ...debugged] = readConfig(debug).entrypoint
  const [, ...run] = readConfig(final).entrypoint
  expect(debugged).toEqual(run)
  expect({ ...readConfig(debug), entrypoint: [], healthcheck: [] }).toEqual({
    ...readConfig(final),
    entrypoint: [],
    healthcheck: [],
  })
})

test('it runs with our flags of V8, as a user without rights, and stops at SIGTERM', () => {
  if (!final) throw new Error('A stage is missing')
  const { entrypoint, user, stopSignal, port } = readConfig(final)
  expect(entrypoint).toEqual(expect.arrayContaining([...V8_FLAGS]))
  expect({ user, stopSignal, port }).toEqual({
    user: '65532:65532',
    stopSignal: 'SIGTERM',
    port: Number(SETTINGS.SERVER_PORT.default),
  })
})

test('what it sets are settings, or known to the C library', () => {
  if (!final) throw new Error('A stage is missing')
  const { MALLOC_ARENA_MAX, ...env } = readConfig(final).env
  expect(MALLOC_ARENA_MAX).toBe('1')
  expect(Object.keys(SETTINGS)).toEqual(expect.arrayContaining(Object.keys(env)))
})

test('what it copies is what .dockerignore lets through', async () => {
  const lines = (await readFile(`${ROOT}.dockerignore`, 'utf8')).split('\n')
  const allowed = lines.filter((line) => line.startsWith('!')).map((line) => line.slice(1))
  const copied = build?.steps
    .filter(({ instruction }) => instruction === 'COPY')
    .flatMap(({ rest }) => rest.split(' ').slice(0, -1))
  expect(allowed.sort()).toEqual(copied?.sort())
})
