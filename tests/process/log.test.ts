import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, statSync, truncateSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { probePort } from '../../src/server/process/claims.ts'
import { createClient, eventually } from '../support/client.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { JWT_SECRET, MAIN } from '../support/service.ts'

const LOGGER = fileURLToPath(new URL('../support/known-logger.ts', import.meta.url))
/** Twice what may wait. */
const LINES = 2000
const FILE_BYTES_MAX = 2 * 1024 * 1024
const RSS_MB_MAX = 300
let database: TestDatabase
let folder: string
let child: ChildProcess | undefined

beforeAll(async () => {
  database = await createDatabase()
  folder = await mkdtemp(join(tmpdir(), 'taskapi-log-'))
})

afterEach(() => {
  child?.kill('SIGKILL')
})

afterAll(async () => {
  await database.drop()
  await rm(folder, { recursive: true })
})

/** Runs a program of Node after words of the shell, with which its output can be redirected. */
function run(program: string[], env: Record<string, string>, redirection = '', preparation = '') {
  const script = `${preparation}\nexec "$@" ${redirection}`
  const started = spawn('/bin/sh', ['-c', script, 'sh', process.execPath, ...program], {
    cwd: folder,
    env: { PATH: process.env.PATH, TMPDIR: process.env.TMPDIR, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  child = started
  return started
}

async function stop(running: ChildProcess): Promise<number | null> {
  running.kill('SIGTERM')
  const [code] = running.exitCode === null ? await once(running, 'exit') : [running.exitCode]
  return code
}

/** Every line is whole and in order, and what was dropped was counted once. */
function expectAllAccounted(text: string): void {
  const lines = text.trimEnd().split('\n')
  const parsed = lines.map((line) => JSON.parse(line) as { index?: number; dropped?: number })
  const indexes = parsed.flatMap(({ index }) => index ?? [])
  const reports = parsed.flatMap(({ dropped }) => dropped ?? [])
  expect(indexes).toEqual(indexes.toSorted((left, right) => left - right))
  expect(reports.length).toBe(1)
  expect(indexes.length + (reports[0] ?? 0)).toBe(LINES)
}

test('lines that a slow reader left no room for are counted, and memory stays bounded', async () => {
  const logger = run([LOGGER, String(LINES)], {})
  await once(logger.stderr, 'data')
  const status = readFileSync(`/proc/${logger.pid}/status`, 'utf8')
  expect(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024).toBeLessThan(RSS_MB_MAX)
  let text = ''
  logger.stdout.setEncoding('utf8').on('data', (chunk) => {
    text += chunk
  })
  await eventually('the report', () => text.includes('"dropped"'))
  expect(await stop(logger)).toBe(0)
  expectAllAccounted(text)
})

test('once a full file has room again, lines are written, and the dropped ones are counted', async () => {
  const file = join(folder, 'full.log')
  // A limit of the process acts like a full disk, and needs no rights. The shell counts in blocks of 512 bytes.
  const blocks = FILE_BYTES_MAX / 512
  const logger = run([LOGGER, String(LINES)], {}, `>> ${file}`, `ulimit -f ${blocks}`)
  await once(logger.stderr, 'data')
  let text = ''
  for (let round = 0; round < 2; round += 1) {
    await eventually('a full file', () => statSync(file).size === FILE_BYTES_MAX)
    text += readFileSync(file, 'utf8')
    truncateSync(file)
  }
  await eventually('the report', () => readFileSync(file, 'utf8').includes('"dropped"'))
  expect(await stop(logger)).toBe(0)
  expectAllAccounted(text + readFileSync(file, 'utf8'))
})

test.each([
  ['a pipe that nobody reads', '', ''],
  ['a pipe whose reader has gone', '', 'close'],
  ['a full disk', '> /dev/full', ''],
])('with its log on %s, a service answers and stops', async (_name, redirection, reader) => {
  const port = await probePort('127.0.0.1', 0)
  const env = {
    DATABASE_URL: database.url,
    JWT_SECRET,
    SERVER_HOST: '127.0.0.1',
    SERVER_PORT: String(port),
    LISTENERS: '2',
    LOG_REQUESTS: 'all',
    SHUTDOWN_TIMEOUT_MS: '2000',
  }
  const service = run([MAIN], env, redirection)
  if (reader === 'close') service.stdout.destroy()
  const client = createClient(`http://127.0.0.1:${port}`)
  const isUp = () =>
    client.get('/health').then(
      () => true,
      () => false,
    )
  await eventually('the service', isUp, 20_000)
  for (let round = 0; round < 50; round += 1) {
    const answers = await Promise.all(Array.from({ length: 20 }, () => client.get('/health')))
    expect(answers.every(({ status }) => status === 200)).toBe(true)
  }
  expect(await stop(service)).toBe(0)
})
