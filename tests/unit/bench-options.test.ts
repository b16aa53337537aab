import { expect, test } from 'vitest'
import {
  addLoadOptions,
  createCommand,
  type LoadFlags,
  ratePerSecondOption,
  scenariosOption,
  toLoad,
} from '../../bench/cli/options.ts'

const DEFAULTS = { connections: 64, duration: 5, warmup: 2, rounds: 3 }

/** Reads options as the commands do, but throws where they would exit. */
function read(...args: string[]) {
  return addLoadOptions(createCommand('bench', 'A command of a test.'), DEFAULTS)
    .addOption(scenariosOption(['mixed', 'json']))
    .addOption(ratePerSecondOption().default(2000))
    .exitOverride()
    .configureOutput({ writeErr: () => undefined })
    .parse(args, { from: 'user' })
    .opts<LoadFlags & { ratePerSecond: number; scenarios: { name: string }[] }>()
}

test('without options the defaults of the command count', () => {
  const { scenarios, ...others } = read()
  expect(others).toEqual({ ...DEFAULTS, ratePerSecond: 2000 })
  expect(scenarios.map(({ name }) => name)).toEqual(['json', 'mixed'])
})

test('a load is read in seconds and connections', () => {
  const options = read('--connections', '8', '--duration', '1.5', '--warmup=0.5', '--rounds', '2')
  expect(toLoad(options)).toEqual({ connections: 8, durationSeconds: 1.5, warmupSeconds: 0.5 })
  expect(options.rounds).toBe(2)
})

test.each([
  '--connections=0',
  '--connections=1.5',
  '--connections=100000',
  '--duration=0',
  '--duration=Infinity',
  '--duration=1e3',
  '--warmup=-1',
  '--warmup=',
  '--rounds=abc',
  '--rounds=0',
  '--rounds=1.5',
  '--rounds=',
  '--rounds',
  '--rate-per-second=-2000',
  '--rate-per-second=NaN',
  '--scenarios=',
  '--scenarios=json,jsn',
  '--scenario=json',
  'json',
])('%s is refused', (word) => {
  expect(() => read(word)).toThrow(/invalid|missing|unknown option|too many arguments/)
})
