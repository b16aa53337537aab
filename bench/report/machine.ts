// The machine and the programs that the figures were measured with.
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { availableParallelism, cpus, release, totalmem } from 'node:os'
import { gib } from './format.ts'

export interface Machine {
  cpu: string
  cpus: number
  memory_bytes: number
  system: string
  kernel: string
  glibc: string
  /** The first line that each program prints of its version. */
  programs: Record<string, string>
}

const PROGRAMS: Record<string, string[]> = {
  node: [process.execPath, '--version'],
  rustc: ['rustc', '--version'],
  go: ['go', 'version'],
  python: ['python3', '--version'],
  java: ['java', '-version'],
}

/** Changes of these make the service differ from its commit. */
const PRODUCT = ['src', 'build', 'migrations', 'package.json', 'package-lock.json']

export function describeMachine(postgresVersion: string | undefined): Machine {
  const header = (process.report.getReport() as { header: { glibcVersionRuntime?: string } }).header
  const programs = Object.entries(PROGRAMS).flatMap(([name, command]) => {
    const version = firstLine(command)
    return version ? [[name, version]] : []
  })
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cpus: availableParallelism(),
    memory_bytes: totalmem(),
    system: systemName(),
    kernel: release(),
    glibc: header.glibcVersionRuntime ?? 'none',
    programs: {
      ...Object.fromEntries(programs),
      ...(postgresVersion ? { postgresql: postgresVersion } : {}),
    },
  }
}

/** When, how and on what a report was made. */
export function environmentFacts(of: {
  date: string
  commit: string
  command: string
  machine: Machine
}): [string, string][] {
  const { cpu, cpus: count, memory_bytes, system, kernel, glibc, programs } = of.machine
  const versions = Object.entries(programs).map(([name, version]) => `${name} ${version}`)
  return [
    ['date', of.date],
    ['commit', of.commit],
    ['command', `\`${of.command}\``],
    [
      'machine',
      `${cpu}, ${count} CPUs, ${gib(memory_bytes)}, ${system}, Linux ${kernel}, glibc ${glibc}`,
    ],
    ['programs', versions.join('; ')],
  ]
}

/** The command line of this process, as one types it in a shell. */
export function describeCommand(script: string): string {
  const words = process.argv.slice(2).map((word) => (/[^\w./:,=-]/.test(word) ? `"${word}"` : word))
  return ['npm', 'run', script, ...(words.length > 0 ? ['--', ...words] : [])].join(' ')
}

/** The commit of a checkout, and whether its files differ from that commit. */
export function describeCommit(folder: string): string {
  const git = (...args: string[]) =>
    execFileSync('git', ['-C', folder, ...args], { encoding: 'utf8' }).trim()
  try {
    const dirty = git('status', '--porcelain', '--', ...PRODUCT) !== ''
    return git('rev-parse', '--short=12', 'HEAD') + (dirty ? ' with changes' : '')
  } catch {
    return 'unknown'
  }
}

function firstLine([program = '', ...args]: string[]): string | undefined {
  try {
    // Java prints its version to standard error.
    const output = execFileSync('sh', ['-c', '"$@" 2>&1', 'sh', program, ...args])
    return output.toString().split('\n')[0]
  } catch {
    return undefined
  }
}

function systemName(): string {
  try {
    return /^PRETTY_NAME="(.*)"/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'unknown'
  } catch {
    return process.platform
  }
}
