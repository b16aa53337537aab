// What npm run bench:profile found, as Markdown.
import type { StageTime } from '../measure/profile-stages.ts'
import { markdownTable } from './format.ts'
import type { Machine } from './machine.ts'

export interface StagesReport {
  date: string
  commit: string
  command: string
  machine: Machine
  times: readonly StageTime[]
}

export function renderStages({ date, commit, command, machine, times }: StagesReport): string {
  const scenarios = [...new Set(times.map(({ scenario }) => scenario))]
  const stages = [...new Set(times.map(({ stage }) => stage))]
  const cell = (scenario: string, stage: string) =>
    times.find((time) => time.scenario === scenario && time.stage === stage)?.us.toFixed(1) ?? ''
  const sum = (scenario: string) =>
    times
      .filter((time) => time.scenario === scenario)
      .reduce((total, { us }) => total + us, 0)
      .toFixed(1)
  const table = markdownTable({
    head: ['us of CPU per request', ...scenarios],
    rows: [
      ...stages.map((stage) => [stage, ...scenarios.map((scenario) => cell(scenario, stage))]),
      ['**together**', ...scenarios.map((scenario) => `**${sum(scenario)}**`)],
    ],
  })
  const { cpu, cpus, kernel, programs } = machine
  return `# How a request spends its microseconds

- date: ${date}
- commit: ${commit}
- command: \`${command}\`
- machine: ${cpu}, ${cpus} CPUs, Linux ${kernel}, node ${programs.node}, PostgreSQL ${programs.postgresql}

CPU time of one listener over all requests of a closed loop of 64 connections (one in \`task-read-single\`), read from
/proc, and divided among the stages in proportion to the samples of V8's profiler. PostgreSQL's CPU time comes from /proc
alone. A write is the system call with everything that the kernel does in it: it wakes the other process, and for the
client it passes through TCP. The samples include the start and the warm-up.

![stages](stages.svg)

${table}
`
}
