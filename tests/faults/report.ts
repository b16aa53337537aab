// The report of a run: what was promised, what was done, what was measured.
import { cpus, release, totalmem } from 'node:os'
import type { Figure, Outcome, Scenario } from './scenario.ts'

export interface Result {
  scenario: Scenario
  outcome: Outcome
  seconds: number
}

export interface RunOptions {
  seed: number
  scale: number
  /** Scenarios that ran in full. */
  full: readonly string[]
  client: string
}

function inFull({ full }: RunOptions): string {
  return full.length === 0 ? '' : `, in full: ${full.join(', ')}`
}

export function renderReport(results: readonly Result[], options: RunOptions): string {
  const rows = results.flatMap(({ scenario, outcome, seconds }) =>
    outcome.figures.map((figure, index) => {
      const done = `${outcome.done}; ${Math.round(seconds)} s`
      const head = index === 0 ? `**${scenario.promise}** (\`${scenario.name}\`) | ${done}` : ' | '
      return `| ${head} | ${figure.name} | ${show(figure, figure.measured)} | ${show(figure, figure.limit)} | ${verdict(figure)} |`
    }),
  )
  const examples = results.flatMap(({ scenario, outcome }) =>
    outcome.figures
      .filter((figure) => !isKept(figure))
      .flatMap(({ name, examples: found = [] }) =>
        found.map((text) => `- \`${scenario.name}\`, ${name}: \`${text.slice(0, 300)}\``),
      ),
  )
  return `${[
    '# What holds while things break',
    '',
    'Written by `npm run test:faults`. Each row is a promise of the service, what was done to it under load, and what was',
    'measured. `npm test` runs shorter forms of the same scenarios.',
    '',
    `Seed ${options.seed}, scale ${options.scale} (1 is the full run)${inFull(options)}, database client \`${options.client}\`.`,
    `${cpus().length} CPUs (${cpus()[0]?.model.trim() ?? 'unknown'}), ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release()}, Node ${process.version}.`,
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
