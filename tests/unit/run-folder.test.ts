import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { removeRemains } from '../support/run-folder.ts'

let place: string
/** Of a process that has ended. */
let ended: number

beforeEach(async () => {
  place = await mkdtemp(join(tmpdir(), 'taskapi-remains-'))
  const child = spawn('/bin/true')
  await once(child, 'exit')
  ended = Number(child.pid)
})

afterEach(async () => {
  await rm(place, { recursive: true })
})

async function make(name: string): Promise<string> {
  const folder = join(place, name)
  await mkdir(join(folder, 'inner'), { recursive: true })
  await writeFile(join(folder, 'inner/file'), '')
  return folder
}

test('what a run left that has ended is removed, and nothing else', async () => {
  await make(`taskapi-run-${ended}-abcdef`)
  const others = [`taskapi-run-${process.pid}-abcdef`, 'taskapi-local', `other-run-${ended}-abcdef`]
  for (const name of others) await make(name)
  await removeRemains(place)
  expect((await readdir(place)).sort()).toEqual(others.sort())
})

test('a folder stays while a process works in it', async () => {
  const name = `taskapi-run-${ended}-abcdef`
  const child = spawn('/bin/sleep', ['1000'], { cwd: join(await make(name), 'inner') })
  await once(child, 'spawn')
  await removeRemains(place)
  expect(await readdir(place)).toEqual([name])
  child.kill()
  await once(child, 'exit')
  await removeRemains(place)
  expect(await readdir(place)).toEqual([])
})

test('a folder stays while a process listens in it', async () => {
  const name = `taskapi-run-${ended}-abcdef`
  const server = createServer().listen(join(await make(name), 'socket'))
  await once(server, 'listening')
  await removeRemains(place)
  expect(await readdir(place)).toEqual([name])
  server.close()
  await once(server, 'close')
  await removeRemains(place)
  expect(await readdir(place)).toEqual([])
})
