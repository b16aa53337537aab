// The level of the log, changed on the admin port while the service runs.
import { get } from 'node:http'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { eventually } from '../support/client.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { startService, type TestService } from '../support/service.ts'

let database: TestDatabase
let service: TestService
let admin: string

beforeEach(async () => {
  database = await createDatabase()
  const env = { ADMIN_PORT: '0', LISTENERS: '2', LOG_REQUESTS: 'all' }
  service = await startService(database.url, env)
  const { url } = await service.line(({ msg }) => msg === 'Admin port is open')
  admin = String(url)
})

afterEach(async () => {
  await service.stop()
  await database.drop()
})

async function setLevels(body: string): Promise<{ status: number; text: string }> {
  const response = await fetch(`${admin}/log-level`, { method: 'PUT', body })
  return { status: response.status, text: (await response.text()).trimEnd() }
}

function pidsOf(message: string): number[] {
  return service.lines.filter(({ msg }) => msg === message).map(({ pid }) => pid)
}

/** A request on a connection of its own: the kernel chooses the listener. */
function ask(): Promise<unknown> {
  return new Promise((resolve) => {
    const request = get(`${service.url}/health`, { agent: false }, (answer) => answer.resume())
    request.on('close', resolve).on('error', () => undefined)
  })
}

test('holds in every listener, also in one that replaces another, until it is changed again', async () => {
  const first = pidsOf('Listener is up')
  expect(first).toHaveLength(2)
  expect(await setLevels(' info,process=Warn\n')).toEqual({
    status: 200,
    text: 'info,process=Warn',
  })
  await service.line(({ msg, levels }) => {
    return msg === 'Log levels were changed' && levels === 'info,process=Warn'
  })

  process.kill(Number(first[0]), 'SIGKILL')
  const answeredBy = () => new Set(pidsOf('Request').filter((pid) => !first.includes(pid)))
  await eventually(
    'the replacement',
    async () => {
      await ask()
      return answeredBy().size > 0
    },
    60_000,
  )
  // The replacement would have said so.
  expect(pidsOf('Listener is up')).toEqual(first)

  await setLevels('info')
  await service.stop()
  expect(new Set(pidsOf('Draining'))).toEqual(new Set([first[1], ...answeredBy()]))
})

test('that is misspelt is refused with what is accepted, and nothing changes', async () => {
  const { status, text } = await setLevels('info,database=debug')
  expect(status).toBe(400)
  expect(text).toMatch(
    /^Expected a level \(trace, .*silent\).*process.*"database" is not a module$/,
  )
  expect((await setLevels('x'.repeat(100_000))).status).toBe(400)
  expect((await setLevels(`info${' '.repeat(1000)},db=debug`)).status).toBe(400)
  const refused = await fetch(`${admin}/log-level`)
  expect([refused.status, refused.headers.get('allow')]).toEqual([405, 'PUT'])
  await service.stop()
  expect(pidsOf('Log levels were changed')).toEqual([])
  expect(pidsOf('Draining')).toHaveLength(2)
})
