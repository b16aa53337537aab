// npm run bench:compare BASE [CANDIDATE]: reports whether a change made the service slower.
import { InvalidArgumentError } from 'commander'
import {
  addLoadOptions,
  createCommand,
  type LoadFlags,
  ratePerSecondOption,
  scenariosOption,
  toLoad,
} from './cli/options.ts'
import { untilStopped } from './cli/until-stopped.ts'
import type { Scenario } from './load/scenario.ts'
import { measureVersions } from './measure/versions.ts'
import { renderComparison } from './report/comparison.ts'
import { compareRuns, findObjections, type SIDES } from './report/verdict.ts'
import { ROOT } from './root.ts'
import { findCommit, withCheckouts } from './servers/checkout.ts'
import { ourService } from './servers/ours.ts'

/** A git ref and the commit that it means. */
interface Version {
  ref: string
  commit: string
}

interface Options extends LoadFlags {
  scenarios: readonly Scenario[]
  ratePerSecond: number
}

const command = addLoadOptions(
  createCommand(
    'bench:compare',
    'Measure two versions of this service in alternating rounds: the base, the base again to learn the noise, and the candidate. Exits with 1 when the candidate is slower beyond the noise, or when figures are missing.',
  )
    .argument('<base>', 'a git ref', version)
    .argument('[candidate]', 'a git ref; by default the working tree', version)
    .addOption(scenariosOption(['json', 'task-read', 'task-create', 'mixed'])),
  { connections: 64, duration: 4, warmup: 1, rounds: 6 },
)
  .addOption(ratePerSecondOption().default(2000))
  .parse()
const options = command.opts<Options>()
const [base, candidate] = command.processedArgs as [Version, Version | undefined]

await withCheckouts((checkOut) =>
  untilStopped(async (signal) => {
    const basePath = await checkOut(base.commit)
    const candidatePath = candidate ? await checkOut(candidate.commit) : ROOT
    await compareVersions(basePath, candidatePath, signal)
  }),
)

async function compareVersions(
  basePath: string,
  candidatePath: string,
  signal: AbortSignal,
): Promise<void> {
  const kind = (path: string, side: (typeof SIDES)[number]) => ourService(path, side)
  const { scenarios, rounds, ratePerSecond } = options
  const runs = await measureVersions(
    {
      kinds: [
        kind(basePath, 'base'),
        kind(basePath, 'base again'),
        kind(candidatePath, 'candidate'),
      ],
      scenarios,
      rounds,
      load: { ...toLoad(options), rate: { perSecond: ratePerSecond } },
    },
    signal,
  )
  const comparisons = scenarios.map(({ name }) =>
    compareRuns(
      name,
      runs.filter(({ scenario }) => scenario === name),
    ),
  )
  const objections = findObjections(comparisons)
  const title = `${base.ref} against ${candidate?.ref ?? 'the working tree'}`
  process.stdout.write(renderComparison(title, comparisons, objections))
  process.exitCode = objections.length === 0 ? 0 : 1
}

function version(ref: string): Version {
  const commit = findCommit(ref)
  if (commit === undefined) throw new InvalidArgumentError('Git knows no such commit.')
  return { ref, commit }
}
