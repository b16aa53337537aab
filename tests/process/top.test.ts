// The command `top` as a real process, beside a service under load.
import { execFile } from 'node:child_process'
import { tmpdir } from 'node:os'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Figures } from '../../src/server/cli/top-figures.ts'
import { probePort } from '../../src/server/process/claims.ts'
import { createClient, register } from '../support/client.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { type Load, startLoad } from '../support/load.ts'
import { MAIN, startService, type TestService } from '../support/service.ts'

let database: TestDatabase
let service: TestService
let port: string
const loads: Load[] = []

beforeAll(async () => {
  database = await createDatabase()
  port = String(await probePort('127.0.0.1', 0))
  service = await startService(database.url, { LISTENERS: '2', ADMIN_PORT: port })
  const { token } = await register(createClient(service.url))
  // Each connection belongs to one of the listeners, by chance.
  for (let count = 0; count < 20; count += 1) {
    loads.push(startLoad(service.url, 1, { path: '/api/v1/tasks', token, pauseMs: 10 }))
  }
})

afterAll(async () => {
  await Promise.all(loads.map((load) => load.stop()))
  await service.stop()
  await database.drop()
})

interface Result {
  code: number
  stdout: string
  stderr: string
}

function top(env: Record<string, string>, ...options: string[]): Promise<Result> {
  const settings = { env: { PATH: process.env.PATH, ...env }, cwd: tmpdir() }
  return new Promise((resolve) => {
    execFile(process.execPath, [MAIN, 'top', ...options], settings, (error, stdout, stderr) => {
      resolve({ code: Number(error?.code ?? 0), stdout, stderr })
    })
  })
}

test('it shows what all listeners did, and each, for scripts', async () => {
  const { code, stdout, stderr } = await top({ ADMIN_PORT: port }, '--once', '--json')
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  const { total, listeners, routes, operations }: Figures = JSON.parse(stdout)
  const each = Object.values(listeners)
  expect(Object.keys(listeners)).toEqual(['1', '2'])
  expect(total.requests_per_second).toBeGreaterThan(0)
  expect(each.reduce((sum, one) => sum + one.requests_per_second, 0)).toBeCloseTo(
    total.requests_per_second,
  )
  for (const { requests_per_second, p50_ms, p99_ms, resident_bytes } of each) {
    expect(requests_per_second).toBeGreaterThan(0)
    expect(p50_ms).toBeGreaterThan(0)
    expect(p99_ms).toBeGreaterThanOrEqual(Number(p50_ms))
    expect(resident_bytes).toBeGreaterThan(1e6)
  }
  expect(routes).toMatchObject([{ method: 'GET', route: '/api/v1/tasks', errors_per_second: 0 }])
  expect(operations).toMatchObject([{ operation: 'list_tasks', calls_per_statement: 1 }])
})

test('it shows them to people in 80 columns, whichever node is named', async () => {
  const { code, stdout } = await top({}, '--once', '--url', `http://127.0.0.1:${port}`)
  expect(code).toBe(0)
  const lines = stdout.trimEnd().split('\n')
  expect(lines[0]).toMatch(/^taskapi \d+\.\d+\.\d+ at 127\.0\.0\.1:\d+ +\d\d:\d\d:\d\d UTC$/)
  expect(lines.filter((line) => line.length > 80)).toEqual([])
  expect(stdout).toMatch(/^listener +requests\/s.*\nall +[1-9].*\n1 +[1-9].*\n2 +[1-9]/m)
})

test('without a terminal, one block follows the other', async () => {
  const script = `"$0" "$@" | grep --line-buffered '^all' | head -n 2`
  const words = [process.execPath, MAIN, 'top', '--url', `http://127.0.0.1:${port}`]
  const stdout = await new Promise((resolve) => {
    execFile('/bin/sh', ['-c', script, ...words], { cwd: tmpdir() }, (_, text) => resolve(text))
  })
  expect(stdout).toMatch(/^all.*\nall.*\n$/)
})

test('a node that does not answer, or is none, is an error in one line', async () => {
  const nowhere = await top({ ADMIN_PORT: '1' })
  expect(nowhere).toMatchObject({ code: 1, stdout: '' })
  expect(nowhere.stderr).toBe('127.0.0.1:1 did not answer: connect ECONNREFUSED 127.0.0.1:1\n')
  const elsewhere = await top({ ADMIN_PORT: '1', ADMIN_HOST: '127.0.0.2' })
  expect(elsewhere.stderr).toContain('127.0.0.2:1 did not answer: ')
  const other = await top({}, '--url', service.url)
  expect(other.code).toBe(1)
  expect(other.stderr).toMatch(
    /^127\.0\.0\.1:\d+ answered with 404 and no metrics: is it the ADMIN_PORT\?\n$/,
  )
})

test('without an admin port it says how to have one', async () => {
  const { code, stderr } = await top({}, '--once')
  expect(code).toBe(1)
  expect(stderr).toMatch(/^ADMIN_PORT is not set: /)
  const free = await top({ ADMIN_PORT: '0' })
  expect(free.stderr).toMatch(/^ADMIN_PORT is 0, any free one: /)
  const wrong = await top({}, '--url', 'example')
  expect(wrong.stderr).toBe('--url is "example", expected a URL such as http://127.0.0.1:9101\n')
})
