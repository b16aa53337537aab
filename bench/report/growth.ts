// What npm run bench:growth found, as JSON and as Markdown.
import type { LoadOptions } from '../load/load-options.ts'
import type { GrowthPages } from '../measure/deep-pages.ts'
import type { GrowthRead } from '../measure/growth.ts'
import { count, markdownTable, milliseconds, withSpread } from './format.ts'
import { environmentFacts, type Machine } from './machine.ts'

export interface GrowthReport {
  date: string
  commit: string
  command: string
  machine: Machine
  /** PostgreSQL's shared_buffers. */
  buffers_mb: number
  load: LoadOptions
  rounds: number
  tasks_small: number
  tasks_large: number
  reads: GrowthRead[]
  pages: GrowthPages
}

export function renderGrowth(report: GrowthReport): string {
  const { load, rounds, tasks_small, tasks_large } = report
  const facts = [
    ...environmentFacts(report),
    [
      'load',
      `${load.connections} connections, ${load.warmupSeconds} s warm-up, ${load.durationSeconds} s per measurement, ${rounds} rounds`,
    ],
    [
      'PostgreSQL',
      `shared_buffers of ${report.buffers_mb} MB, tasks and its indexes read into them`,
    ],
  ].map(([name, value]) => `- ${name}: ${value}`)
  const reads = report.reads.map(({ scenario, small, large, ratio }) => [
    scenario,
    withSpread(small, count),
    withSpread(large, count),
    `${ratio.toFixed(2)} x`,
  ])
  return [
    '# What a large database costs',
    facts.join('\n'),
    '## Requests per second',
    markdownTable({
      head: ['scenario', `${count(tasks_small)} tasks`, `${count(tasks_large)} tasks`, 'ratio'],
      rows: reads,
    }),
    `## Pages of a user with ${count(report.pages.user_tasks)} tasks, 20 each`,
    'One request at a time; p50.',
    markdownTable({ head: ['page', 'p50', 'to page 1'], rows: pageRows(report.pages) }),
    '',
  ].join('\n\n')
}

function pageRows(pages: GrowthPages): string[][] {
  const { page, first_p50_us, cursor_p50_us, offset_p50_us, missing } = pages
  const line = (name: string, value: number | undefined) => [
    name,
    value === undefined
      ? `not measured: ${missing ?? 'no figure'}`
      : milliseconds({ median: value, min: value, max: value }),
    value !== undefined && first_p50_us ? `${(value / first_p50_us).toFixed(2)} x` : '',
  ]
  return [
    line('1', first_p50_us),
    line(`${count(page)} by cursor`, cursor_p50_us),
    line(`${count(page)} by offset`, offset_p50_us),
  ]
}
