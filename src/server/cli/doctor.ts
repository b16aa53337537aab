// Runs in the process that the user started: the command `doctor`, which says what keeps the service from running well.
import { inspectConfig } from '../config/config.ts'
import { HELP_COLUMNS, wrap } from '../config/docs.ts'
import { findLocalDatabase } from '../process/local-database.ts'
import { countOf } from './count.ts'
import { type Finding, type Level, runChecks } from './doctor/check.ts'
import { checkDatabase, skipDatabase } from './doctor/database.ts'
import { folderCheck, machineChecks } from './doctor/machine.ts'
import { platformChecks } from './doctor/platform.ts'
import { type Settings, settingsCheck } from './doctor/settings.ts'

const MARKS: Readonly<Record<Level, string>> = { ok: '✓', warning: '!', problem: '✗', skipped: '-' }
const MARK_COLUMNS = 2
const GAP = 2

/** Prints what every check has found. Rejects when there is a problem. */
export async function examine({ json }: { json: boolean }): Promise<void> {
  const settings = inspectConfig()
  const { config } = settings
  const findings = await Promise.all([
    runChecks([...platformChecks, settingsCheck(settings)]),
    examineDatabase(settings),
    runChecks(machineChecks(config)),
  ])
  const all = findings.flat()
  const problems = count(all, 'problem')
  process.stdout.write(
    json ? `${JSON.stringify({ ok: problems === 0, findings: all }, null, 2)}\n` : render(all),
  )
  const summary = `${countOf(problems, 'problems')}, ${countOf(count(all, 'warning'), 'warnings')}`
  if (problems > 0) throw new Error(summary)
  if (!json) process.stdout.write(`${summary}\n`)
}

async function examineDatabase({ config, origins }: Settings): Promise<Finding[]> {
  if (config.DATABASE_URL) return checkDatabase(config.DATABASE_URL.address, config)
  if (origins.has('DATABASE_URL')) return [skipDatabase('DATABASE_URL cannot be used')]
  const folder = await runChecks([folderCheck(config)])
  const address = await findLocalDatabase(config).catch(() => undefined)
  if (!address) return [...folder, skipDatabase('the local PostgreSQL starts with the service')]
  return [...folder, ...(await checkDatabase(address, config))]
}

function count(findings: readonly Finding[], level: Level): number {
  return findings.filter((finding) => finding.level === level).length
}

function render(findings: readonly Finding[]): string {
  const nameWidth = Math.max(...findings.map(({ check }) => check.length)) + GAP
  const indent = ' '.repeat(MARK_COLUMNS + nameWidth)
  const lines = findings.flatMap(({ check, level, found, fix }) => {
    const texts = fix === undefined ? [found] : [found, `fix: ${fix}`]
    const [first = '', ...more] = texts
      .flatMap((text) => text.split('\n'))
      .flatMap((text) => wrap(text, HELP_COLUMNS - indent.length))
    const head = `${MARKS[level]} `.padEnd(MARK_COLUMNS) + check.padEnd(nameWidth)
    return [head + first, ...more.map((line) => indent + line)]
  })
  return `${lines.join('\n')}\n`
}
