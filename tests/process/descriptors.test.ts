import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { eventually, sendRaw } from '../support/client.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { MAIN, startService } from '../support/service.ts'

const CLIENTS = 320
const HEALTH = 'GET /health HTTP/1.1\r\nHost: x\r\n\r\n'
const TICKS_PER_SECOND = 100
let database: TestDatabase

beforeAll(async () => {
  database = await createDatabase()
})

afterAll(async () => {
  await database.drop()
})

/** Seconds of CPU that the process has used. */
function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? []
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
}

function open(sockets: Socket[]): Socket[] {
  return sockets.filter((socket) => !socket.destroyed && socket.readyState === 'open')
}

function connectMany(port: number, count: number): Socket[] {
  return Array.from({ length: count }, () => {
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => undefined)
    // Reads, so that it sees the end of the connection.
    return socket.resume()
  })
}

test('with fewer descriptors than clients, the surplus is closed, the others are served, and no CPU is burnt', async () => {
  const service = await startService(
    database.url,
    { MAX_CONNECTIONS_PER_CLIENT: '10000' },
    MAIN,
    'ulimit -n 256',
  )
  const warnings = service.lines.filter(({ msg }) => msg.startsWith('MAX_CONNECTIONS is'))
  expect(warnings).toMatchObject([{ wanted: 10_000, open_files: 256 }])
  const limit = Number(warnings[0]?.limit)

  const sockets = connectMany(service.port, CLIENTS)
  await eventually('the surplus to be closed', () => open(sockets).length === limit)
  const pid = service.child.pid ?? 0
  const before = cpuSeconds(pid)
  await setTimeout(2000)
  expect(cpuSeconds(pid) - before).toBeLessThan(0.5)
  expect(await sendRaw(service.port, HEALTH)).toBe('')

  const survivor = open(sockets)[0]
  survivor?.write(HEALTH)
  const answer = await new Promise((resolve) => survivor?.once('data', resolve))
  expect(String(answer)).toMatch(/^HTTP\/1\.1 200 /)

  for (const socket of open(sockets).slice(0, 10)) socket.destroy()
  await eventually('room for others', async () => {
    return (await sendRaw(service.port, HEALTH, 200)).startsWith('HTTP/1.1 200')
  })
  for (const socket of sockets) socket.destroy()
  expect((await service.stop()).code).toBe(0)
})
