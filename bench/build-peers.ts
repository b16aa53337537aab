// npm run bench:peers: builds the peers whose toolchains are here. Building again is quick, because the toolchains keep
// their caches in the peers' folders.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createCommand, serversOption } from './cli/options.ts'
import { isOnPath, type ServerKind } from './servers/kind.ts'
import { listPeers } from './servers/peers.ts'

const { servers: peers } = createCommand(
  'bench:peers',
  'Build the peers that npm run bench measures. A peer without its toolchain is left out.',
)
  .addOption(serversOption(listPeers()))
  .parse()
  .opts<{ servers: readonly ServerKind[] }>()

let failures = 0
for (const [index, peer] of peers.entries()) {
  const place = `[${index + 1}/${peers.length}] ${peer.name}`
  if (!isOnPath(peer.toolchain)) {
    process.stderr.write(`${place}: not built, ${peer.toolchain} not found\n`)
    continue
  }
  process.stderr.write(`${place}: ${peer.build.join(' ')}\n`)
  const startedAt = performance.now()
  const built = await build(peer)
  if (!built) failures += 1
  const seconds = Math.round((performance.now() - startedAt) / 1000)
  process.stderr.write(`${place}: ${built ? 'built' : 'failed'} in ${seconds} s\n`)
}
process.exitCode = failures === 0 ? 0 : 1

async function build({ build: [program = '', ...args], folder }: ServerKind): Promise<boolean> {
  const child = spawn(program, args, { cwd: folder, stdio: ['ignore', 2, 2] })
  const [code] = await once(child, 'exit').catch(() => [1])
  return code === 0
}
