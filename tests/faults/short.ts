// Scenarios of faults in their short form, as tests. What is a time is not judged here: `npm run test:faults` does.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { MAIN } from '../support/service.ts'
import type { Scenario } from './scenario.ts'
import { type FaultServer, openServer } from './server.ts'

const TIMEOUT_MS = 90_000
const SEED = 20_250_101

export function testShortly(scenarios: readonly Scenario[]): void {
  let server: FaultServer

  beforeAll(async () => {
    server = await openServer()
  })

  afterAll(async () => {
    await server?.close()
  })

  describe.each(scenarios)('while things break ($name)', ({ promise, isPossible, run }) => {
    test.skipIf(isPossible?.() === false)(
      promise,
      async () => {
        const note = () => undefined
        const { figures } = await run({
          server,
          entry: MAIN,
          client: 'wire',
          seed: SEED,
          scale: 0,
          note,
        })
        const missed = figures.filter(
          ({ measured, limit, isTime }) => !isTime && !(measured <= limit),
        )
        expect(missed).toEqual([])
      },
      TIMEOUT_MS,
    )
  })
}
