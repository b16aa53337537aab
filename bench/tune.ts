// npm run bench:tune PEER NAME=VALUE,VALUE: finds out which settings suit a peer best.
import { InvalidArgumentError } from 'commander'
import {
  addLoadOptions,
  createCommand,
  type LoadFlags,
  scenariosOption,
  toLoad,
} from './cli/options.ts'
import { untilStopped } from './cli/until-stopped.ts'
import { joinNames } from './cli/values.ts'
import type { Scenario } from './load/scenario.ts'
import { measureVersions } from './measure/versions.ts'
import { renderTuning } from './report/tuning.ts'
import { type ServerKind, takesPart, whyMissing } from './servers/kind.ts'
import { listPeers } from './servers/peers.ts'
import { type Trial, unknownSettings, variantsOf } from './servers/variants.ts'

const peers = listPeers()
const command = addLoadOptions(
  createCommand(
    'bench:tune',
    'Measure a peer with every combination of the given settings, in alternating rounds.',
  )
    .argument('<peer>', `one of ${joinNames(peers)}`, findPeer)
    .argument('<settings...>', 'NAME=VALUE,VALUE of its peer.json', addTrial)
    .addOption(scenariosOption(['task-read', 'task-create', 'mixed'])),
  { connections: 64, duration: 3, warmup: 1, rounds: 2 },
).parse()
const [peer, trials] = command.processedArgs as [ServerKind, Trial[]]
const options = command.opts<LoadFlags & { scenarios: readonly Scenario[] }>()

const unknown = unknownSettings(peer, trials)
if (unknown.length > 0) command.error(`error: ${peer.name} has no setting ${unknown.join(', ')}`)
const missing = whyMissing(peer)
if (missing !== undefined) command.error(`error: ${peer.name}: ${missing}`)

await untilStopped(async (signal) => {
  const kinds = variantsOf(peer, trials)
  const { rounds } = options
  const scenarios = options.scenarios.filter((scenario) => takesPart(peer, scenario))
  const runs = await measureVersions({ kinds, scenarios, rounds, load: toLoad(options) }, signal)
  process.stdout.write(renderTuning(peer.name, kinds, scenarios, runs))
})

function findPeer(name: string): ServerKind {
  const found = peers.find((candidate) => candidate.name === name)
  if (!found) throw new InvalidArgumentError(`There are ${joinNames(peers)}.`)
  return found
}

function addTrial(text: string, others: Trial[] = []): Trial[] {
  const [, name, values] = /^([A-Z][A-Z0-9_]*)=([^,]+(?:,[^,]+)*)$/.exec(text) ?? []
  if (!name || !values) throw new InvalidArgumentError('Expected NAME=VALUE,VALUE.')
  return [...others, { name, values: values.split(',') }]
}
