// The table of a peer's settings: requests/s of each round, because few rounds have no median to speak of.
import type { Scenario } from '../load/scenario.ts'
import type { Run } from '../measure/run.ts'
import type { ServerKind } from '../servers/kind.ts'
import { count, markdownTable } from './format.ts'

/** What the table needs of a run. */
export type TuningRun = Pick<Run, 'server' | 'scenario'> & {
  closed: Pick<Run['closed'], 'requests_per_second' | 'errors'>
}

export function renderTuning(
  title: string,
  kinds: readonly ServerKind[],
  scenarios: readonly Scenario[],
  runs: readonly TuningRun[],
): string {
  const cellOf = (server: string, scenario: string) =>
    runs
      .filter((run) => run.server === server && run.scenario === scenario)
      .map(({ closed }) =>
        closed.errors > 0 ? `${closed.errors} failed` : count(closed.requests_per_second),
      )
      .join(', ')
  const table = {
    head: ['settings', ...scenarios.map(({ name }) => `${name}, requests/s`)],
    rows: kinds.map(({ name }) => [
      name,
      ...scenarios.map((scenario) => cellOf(name, scenario.name)),
    ]),
  }
  return `${title}\n\n${markdownTable(table)}\n`
}
