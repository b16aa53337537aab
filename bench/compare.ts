// npm run bench:compare BASE [CANDIDATE]: says whether a change made the service slower.
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Command } from 'commander'
import { choose, list } from './cli/names.ts'
import { untilStopped } from './cli/until-stopped.ts'
import { createProgress } from './measure/progress.ts'
import { measureServer, type Run } from './measure/run.ts'
import { compareRuns, type Verdict } from './report/verdict.ts'
import { scenarios } from './scenarios/all.ts'
import { startDatabase } from './servers/database.ts'
import { ourService, type ServerKind } from './servers/kind.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const WORKING_TREE = 'the working tree'

interface Options {
  scenarios: string
  connections: string
  duration: string
  warmup: string
  rounds: string
  rate: string
}

const program = new Command('npm run bench:compare --')
  .description(
    'Measure two versions of this service in alternating rounds: the base, the base again to learn the noise, and the candidate. Ends with 1 when the candidate is slower beyond the noise.',
  )
  .argument('<base>', 'a git ref')
  .argument('[candidate]', 'a git ref; by default the working tree')
  .option('--scenarios <names>', 'comma-separated', 'json,task-read,task-create,mixed')
  .option('--connections <n>', 'kept connections', '64')
  .option('--duration <seconds>', 'length of each measured load', '4')
  .option('--warmup <seconds>', 'length of the load before it', '1')
  .option('--rounds <n>', 'times everything is repeated', '6')
  .option('--rate <n>', 'requests per second of the latency runs, the same for both', '2000')
  .showHelpAfterError()

const options = program.parse().opts<Options>()
const [baseRef = '', candidateRef] = program.args

const folder = await mkdtemp(join(tmpdir(), 'taskapi-compare-'))
try {
  await untilStopped(compareVersions)
} finally {
  await rm(folder, { recursive: true, force: true })
  execFileSync('git', ['-C', ROOT, 'worktree', 'prune'])
}

async function compareVersions(signal: AbortSignal): Promise<void> {
  const base = await checkOut(baseRef)
  const candidate = candidateRef ? await checkOut(candidateRef) : ROOT
  const kinds = [
    ourService(base, 'base'),
    ourService(base, 'base again'),
    ourService(candidate, 'candidate'),
  ]
  const verdicts = await compare(kinds, signal)
  process.stdout.write(render(verdicts))
  process.exitCode = verdicts.some(({ slower }) => slower) ? 1 : 0
}

/** A worktree of the ref, with its own packages unless they are the same as ours. */
async function checkOut(ref: string): Promise<string> {
  const path = join(folder, ref.replaceAll(/[^\w.-]/g, '_'))
  if (existsSync(path)) return path
  execFileSync('git', ['-C', ROOT, 'worktree', 'add', '--detach', path, ref], { stdio: 'pipe' })
  const lock = 'package-lock.json'
  if (readFileSync(join(path, lock)).equals(readFileSync(join(ROOT, lock)))) {
    await symlink(join(ROOT, 'node_modules'), join(path, 'node_modules'))
  } else {
    execFileSync('npm', ['ci', '--ignore-scripts'], { cwd: path, stdio: ['ignore', 2, 2] })
  }
  return path
}

async function compare(kinds: ServerKind[], signal: AbortSignal): Promise<Verdict[]> {
  const chosen = choose(program, scenarios, list(options.scenarios))
  const rounds = Number(options.rounds)
  const progress = createProgress(chosen.length * rounds * kinds.length)
  const database = await startDatabase(signal)
  const load = {
    connections: Number(options.connections),
    warmupSeconds: Number(options.warmup),
    durationSeconds: Number(options.duration),
    rate: { perSecond: Number(options.rate) },
  }
  const runs: Run[] = []
  try {
    for (const scenario of chosen) {
      for (let round = 0; round < rounds; round += 1) {
        for (const kind of round % 2 === 0 ? kinds : kinds.toReversed()) {
          progress.step(`${scenario.name}, round ${round + 1}: ${kind.name}`)
          runs.push(await measureServer(kind, scenario, round, database, load, signal))
        }
      }
    }
  } finally {
    progress.stop()
    await database.stop()
  }
  return chosen.flatMap(({ name }) =>
    compareRuns(
      name,
      runs.filter(({ scenario }) => scenario === name),
    ),
  )
}

function render(verdicts: Verdict[]): string {
  const percent = (value: number) => `${value >= 0 ? '+' : ''}${(value * 100).toFixed(1)} %`
  const lines = verdicts.map(({ scenario, figure, base, candidate, change, noise, slower }) => {
    const cells = [scenario, figure, base.toFixed(1), candidate.toFixed(1), percent(change)]
    return `| ${[...cells, percent(noise), slower ? 'SLOWER' : 'ok'].join(' | ')} |`
  })
  return [
    `${baseRef} against ${candidateRef ?? WORKING_TREE}`,
    '',
    '| scenario | figure | base | candidate | change | noise | |',
    '|---|---|---|---|---|---|---|',
    ...lines,
    '',
  ].join('\n')
}
