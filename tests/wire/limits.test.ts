import { describe, expect, test } from 'vitest'
import { maintenanceUrl } from '../support/database.ts'
import { call, collect, ECHO, LIMITS, open, SERIES, SLEEP } from './conversations.ts'

describe('limits', () => {
  test('a message that is too long closes the connection', async () => {
    const small = await open(maintenanceUrl(), { messageBytesMax: 10_000 })
    await small.prepare(ECHO)
    expect(await call(small, ECHO, 'a'.repeat(20_000))).toMatchObject({
      sent: true,
      error: { code: 'PROTOCOL_VIOLATION' },
    })
    expect(small.closed).toBe(true)
  })

  test('a reply that is too long closes the connection', async () => {
    const small = await open(maintenanceUrl(), { replyBytesMax: 10_000 })
    await small.prepare(SERIES)
    expect((await call(small, SERIES, 100)).rows).toHaveLength(100)
    const outcome = await call(small, SERIES, 10_000)
    expect(outcome.error).toMatchObject({ code: 'REPLY_TOO_LARGE' })
  })

  test('bytes that wait have a limit, behind which calls fail and nothing else', async () => {
    const small = await open(maintenanceUrl(), { queuedBytesMax: 100_000 })
    await small.prepare(ECHO)
    const long = 'a'.repeat(40_000)
    const outcomes = await Promise.all([
      ...Array.from({ length: 4 }, () => call(small, ECHO, long)),
      call(small, ECHO, 'short'),
    ])
    const codes = outcomes.map(({ error }) => error?.code)
    expect(codes).toEqual([undefined, undefined, undefined, 'SEND_QUEUE_FULL', undefined])
    expect(outcomes[3]?.sent).toBe(false)
    expect(outcomes[4]?.rows).toEqual([['short']])
    small.end()
  })

  test('an answer that does not come closes the connection', async () => {
    const hasty = await open(maintenanceUrl(), { answerTimeoutMs: 200 })
    await hasty.prepare(SLEEP)
    const waiting = [call(hasty, SLEEP, 30), call(hasty, SLEEP, 0)]
    for (const outcome of await Promise.all(waiting)) {
      expect(outcome).toMatchObject({ rows: [], sent: true, error: { code: 'ETIMEDOUT' } })
    }
  })

  test('a server that stops reading fills the queue to its limit, not more', async () => {
    const limits = { ...LIMITS, queuedBytesMax: 200_000, answerTimeoutMs: 60_000 }
    const stuck = await open(maintenanceUrl(), limits)
    await stuck.prepare(SLEEP)
    await stuck.prepare(ECHO)
    const sleeping = call(stuck, SLEEP, 30)
    const long = 'a'.repeat(60_000)
    const outcomes = []
    let error: (Error & { code?: string }) | undefined
    for (let index = 0; index < 1000 && !error; index += 1) {
      const { sink, outcome } = collect()
      stuck.execute(ECHO, [long], {
        ...sink,
        failed: (failure, sent) => {
          if (!stuck.closed) error = failure
          sink.failed(failure, sent)
        },
      })
      outcomes.push(outcome)
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(stuck.blocked).toBe(true)
    expect(error?.code).toBe('SEND_QUEUE_FULL')
    stuck.destroy(new Error('enough'))
    const settled = await Promise.all([sleeping, ...outcomes])
    expect(settled.every(({ settled: times }) => times === 1)).toBe(true)
    expect(settled.at(0)?.sent).toBe(true)
    expect(settled.at(-1)?.sent).toBe(false)
  })
})
