// What npm run bench:compare found, as Markdown.
import { markdownTable, percent } from './format.ts'
import type { Comparison, Verdict } from './verdict.ts'

export function renderComparison(
  title: string,
  comparisons: readonly Comparison[],
  objections: readonly string[],
): string {
  const rows = comparisons.flatMap(({ scenario, verdicts, absent }) => [
    ...verdicts.map(verdictCells),
    ...absent.map((figure) => [scenario, figure, '', '', '', '', 'not measured']),
  ])
  const head = ['scenario', 'figure', 'base', 'candidate', 'change', 'noise', 'verdict']
  const outcome =
    objections.length === 0
      ? 'Passed: nothing is slower beyond the noise'
      : objections.map((objection) => `Failed: ${objection}`).join('\n')
  return `${[title, markdownTable({ head, rows }), outcome].join('\n\n')}\n`
}

function verdictCells({
  scenario,
  figure,
  base,
  candidate,
  change,
  noise,
  slower,
}: Verdict): string[] {
  const figures = [base.toFixed(1), candidate.toFixed(1), percent(change), percent(noise)]
  return [scenario, figure, ...figures, slower ? 'SLOWER' : 'ok']
}
