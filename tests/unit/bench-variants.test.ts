import { expect, test } from 'vitest'
import { renderTuning, type TuningRun } from '../../bench/report/tuning.ts'
import { jsonScenario } from '../../bench/scenarios/json.ts'
import { listPeers } from '../../bench/servers/peers.ts'
import { unknownSettings, variantsOf } from '../../bench/servers/variants.ts'

const WHERE = { port: 1, databaseUrl: 'postgres://localhost/tasks' }
const TRIALS = [
  { name: 'READ_CONNECTIONS', values: ['1', '2'] },
  { name: 'WRITE_CONNECTIONS', values: ['8', '16'] },
]

function peer(name: string) {
  const found = listPeers().find((listed) => listed.name === name)
  if (!found) throw new Error(`There is no peer ${name}`)
  return found
}

function run(server: string, requests_per_second: number, errors = 0): TuningRun {
  return { server, scenario: 'json', closed: { requests_per_second, errors } }
}

test('each combination of settings is a variant of its own, and all else stays', () => {
  const ntex = peer('ntex')
  const variants = variantsOf(ntex, TRIALS)
  expect(variants.map(({ name }) => name)).toEqual([
    'READ_CONNECTIONS=1 WRITE_CONNECTIONS=8',
    'READ_CONNECTIONS=1 WRITE_CONNECTIONS=16',
    'READ_CONNECTIONS=2 WRITE_CONNECTIONS=8',
    'READ_CONNECTIONS=2 WRITE_CONNECTIONS=16',
  ])
  expect(variants[0]?.env(WHERE)).toEqual({
    ...ntex.env(WHERE),
    READ_CONNECTIONS: '1',
    WRITE_CONNECTIONS: '8',
  })
})

test('a setting that the peer does not have is named', () => {
  expect(unknownSettings(peer('axum'), TRIALS)).toEqual(['READ_CONNECTIONS', 'WRITE_CONNECTIONS'])
  expect(unknownSettings(peer('ntex'), TRIALS)).toEqual([])
})

test('the table has the requests/s of every round, and says how many failed', () => {
  const variants = variantsOf(peer('axum'), [{ name: 'POOL_SIZE', values: ['4', '8'] }])
  const runs = [run('POOL_SIZE=4', 1000), run('POOL_SIZE=8', 2000, 3), run('POOL_SIZE=4', 1100)]
  expect(renderTuning('axum', variants, [jsonScenario], runs)).toBe(
    [
      'axum',
      '',
      '| settings | json, requests/s |',
      '| --- | --- |',
      '| POOL_SIZE=4 | 1 000, 1 100 |',
      '| POOL_SIZE=8 | 3 failed |',
      '',
    ].join('\n'),
  )
})
