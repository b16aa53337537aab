// The report: what was promised, what was done, what was measured. Each scenario is there as it last ran: all of them take
// some hours, so that they are not always run together.
import { readFile, writeFile } from 'node:fs/promises'
import { cpus, release, totalmem } from 'node:os'
import { describeCommit } from '../../bench/report/machine.ts'
import type { Figure, Outcome, Scenario } from './scenario.ts'

/** A scenario as it has run. */
export interface Entry extends Outcome {
  readonly scenario: string
  readonly seconds: number
  /** When, of which commit, how, and where. */
  readonly run: string
}

export interface RunOptions {
  readonly seed: number
  /** 1 is the full run. */
  readonly scale: number
  readonly client: string
}

export function describeRun({ seed, scale, client }: RunOptions, root: string): string {
  const date = new Date().toISOString().slice(0, 10)
  const how = scale === 1 ? 'in full' : `at ${scale} of the full run`
  const where = `${cpus().length} CPUs (${cpus()[0]?.model.trim() ?? 'unknown'}), ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release()}, Node ${process.version}`
  return `${date}, commit ${describeCommit(root)}, ${how}, seed ${seed}, database client \`${client}\`; ${where}`
}

/**
 * Puts new entries in the place of those of the same scenarios, and writes the report: `file`, and beside it, in JSON, what it
 * is made of.
 *
 * @param scenarios in the order of the report; entries of others are dropped
 */
export async function updateReport(
  file: string,
  scenarios: readonly Pick<Scenario, 'name' | 'promise'>[],
  added: readonly Entry[],
): Promise<void> {
  const data = file.replace(/\.md$/, '.json')
  const known = [...added, ...(await readEntries(data))]
  const entries = scenarios.flatMap(
    ({ name }) => known.find(({ scenario }) => scenario === name) ?? [],
  )
  // JSON has no infinity, which is how long something takes that never comes.
  await writeFile(data, `${JSON.stringify(entries, null, 2)}\n`)
  await writeFile(file, renderReport(entries, scenarios))
}

async function readEntries(file: string): Promise<Entry[]> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
    return '[]'
  })
  return JSON.parse(text, (key, value) =>
    key === 'measured' && value === null ? Number.POSITIVE_INFINITY : value,
  )
}

function renderReport(
  entries: readonly Entry[],
  scenarios: readonly Pick<Scenario, 'name' | 'promise'>[],
): string {
  const promises = new Map(scenarios.map(({ name, promise }) => [name, promise]))
  const runs = [...new Set(entries.map(({ run }) => run))]
  const rows = entries.flatMap(({ scenario, done, seconds, run, figures }) =>
    figures.map((figure, index) => {
      const what = `**${promises.get(scenario)}** (\`${scenario}\`, run ${runs.indexOf(run) + 1}) | ${done}; ${Math.round(seconds)} s`
      const head = index === 0 ? what : ' | '
      return `| ${head} | ${figure.name} | ${show(figure, figure.measured)} | ${show(figure, figure.limit)} | ${verdict(figure)} |`
    }),
  )
  const examples = entries.flatMap(({ scenario, figures }) =>
    figures
      .filter((figure) => !isKept(figure))
      .flatMap(({ name, examples: found = [] }) =>
        found.map((text) => `- \`${scenario}\`, ${name}: \`${text.slice(0, 300)}\``),
      ),
  )
  return `${[
    '# What holds while things break',
    '',
    'Written by `npm run test:faults`. Each row is a promise of the service, what was done to it under load, and what was',
    'measured. `npm test` runs shorter forms of the same scenarios. Each scenario is shown as it last ran:',
    '',
    ...runs.map((run, index) => `${index + 1}. ${run}`),
    '',
    '| promise | what was done | figure | measured | at most | verdict |',
    '|---|---|---|---:|---:|---|',
    ...rows,
    ...(examples.length > 0 ? ['', '## What was missed', '', ...examples] : []),
  ].join('\n')}\n`
}

function isKept({ measured, limit }: Figure): boolean {
  return measured <= limit
}

function verdict(figure: Figure): string {
  return isKept(figure) ? 'kept' : '**missed**'
}

function show({ unit }: Figure, value: number): string {
  const number = Number.isFinite(value) ? String(Math.round(value * 10) / 10) : 'never'
  return unit ? `${number} ${unit}` : number
}
