// The options that several commands share: one name, one meaning and one reader for each.
import { join } from 'node:path'
import { Command, Option } from 'commander'
import type { LoadOptions } from '../load/load-options.ts'
import type { Scenario } from '../load/scenario.ts'
import { ROOT } from '../root.ts'
import { scenarios } from '../scenarios/all.ts'
import type { ServerKind } from '../servers/kind.ts'
import { decimalNumber, joinNames, outputFolder, someOf, wholeNumber } from './values.ts'

const CONNECTIONS_MAX = 10_000
const ROUNDS_MAX = 1000
/** The shortest load that can have a figure. */
const SECONDS_MIN = 0.1
const SECONDS_MAX = 600
const RATE_PER_SECOND_MAX = 1_000_000

/** What the options of a load are read into. */
export interface LoadFlags {
  connections: number
  warmup: number
  duration: number
  rounds: number
}

/** A command that npm runs as `script`. It refuses arguments and options that it does not know. */
export function createCommand(script: string, description: string): Command {
  return new Command(`npm run ${script} --`)
    .description(description)
    .showHelpAfterError('(--help lists the options)')
}

/** Adds the options of every command that measures in rounds. */
export function addLoadOptions(command: Command, defaults: LoadFlags): Command {
  const { connections, warmup, duration, rounds } = defaults
  return command
    .option('--connections <n>', 'kept connections', wholeNumber(1, CONNECTIONS_MAX), connections)
    .addOption(durationOption(duration))
    .option(
      '--warmup <seconds>',
      'length of the load before it',
      decimalNumber(SECONDS_MIN, SECONDS_MAX),
      warmup,
    )
    .option(
      '--rounds <n>',
      'how many times everything is repeated',
      wholeNumber(1, ROUNDS_MAX),
      rounds,
    )
}

export function toLoad({ connections, warmup, duration }: LoadFlags): Omit<LoadOptions, 'rate'> {
  return { connections, warmupSeconds: warmup, durationSeconds: duration }
}

export function durationOption(seconds: number): Option {
  return new Option('--duration <seconds>', 'length of each measured load')
    .argParser(decimalNumber(SECONDS_MIN, SECONDS_MAX))
    .default(seconds)
}

/** All scenarios, unless a command has others as its default. */
export function scenariosOption(names?: readonly string[]): Option {
  const chosen: readonly Scenario[] = names
    ? scenarios.filter(({ name }) => names.includes(name))
    : scenarios
  return new Option('--scenarios <names>', `comma-separated, of ${joinNames(scenarios)}`)
    .argParser(someOf(scenarios))
    .default(chosen, names ? joinNames(chosen) : 'all')
}

/** All of `kinds` by default. */
export function serversOption(kinds: readonly ServerKind[]): Option {
  return new Option('--servers <names>', `comma-separated, of ${joinNames(kinds)}`)
    .argParser(someOf(kinds))
    .default(kinds, 'all')
}

export function ratePerSecondOption(): Option {
  return new Option(
    '--rate-per-second <n>',
    'offered rate of the latency runs in requests per second, the same to every server',
  ).argParser(decimalNumber(1, RATE_PER_SECOND_MAX))
}

export function outputOption(content: string): Option {
  return new Option('--output <folder>', `folder for ${content}`)
    .argParser(outputFolder)
    .default(join(ROOT, 'bench/results'))
}
