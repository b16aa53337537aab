// Runs in the tests. The root file system of the image, without a container engine: Debian 13's libraries, unpacked from
// Debian's packages, in the place of the distroless base, Node 26 from npm, and the Dockerfile's own steps. What a base
// image holds besides libraries is not tested.
import {
  type ChildProcess,
  type ChildProcessWithoutNullStreams,
  execFile,
  spawn,
} from 'node:child_process'
import { existsSync } from 'node:fs'
import { copyFile, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { createMemoryCgroup, type MemoryCgroup } from '../../bench/servers/memory-cgroup.ts'
import type { Exit, LogLine } from '../support/service.ts'
import { followSteps, type ImageConfig, outsideNpm, readConfig, readStages } from './dockerfile.ts'

const run = promisify(execFile)
const CONTEXT = fileURLToPath(new URL('../..', import.meta.url))
const SUITE = 'trixie'
/** What the distroless image for Node has of Debian, and the folders of an empty system. */
const PACKAGES = [
  'base-files',
  'ca-certificates',
  'libatomic1',
  'libc6',
  'libgcc-s1',
  'libstdc++6',
].join(',')
const TOOLS = ['/usr/bin/mmdebstrap', '/usr/bin/unshare', '/usr/sbin/capsh']
const MIB = 2 ** 20

/**
 * What a container runtime does before it starts the program: a read-only root, few devices, /proc and /sys, another user
 * without any capability. $1 is the root, $2 and $3 are the ids, and what follows is the program.
 */
const ENTER = `
set -e
root=$1 user=$2 group=$3
shift 3
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount -t tmpfs -o size=64k,mode=755 dev "$root/dev"
for name in null zero full random urandom; do
  touch "$root/dev/$name"
  mount --bind "/dev/$name" "$root/dev/$name"
done
mount -o remount,bind,ro "$root"
program=$1
shift
exec /usr/sbin/capsh --chroot="$root" --drop=all --no-new-privs --gid="$group" --uid="$user" --shell="$program" -- "$@"
`

export interface Image {
  root: string
  config: ImageConfig
  remove(): Promise<void>
}

/** False where the tools or the rights are missing; throws in CI, where nothing may be missing. */
export function canMakeRoot(): boolean {
  const missing = TOOLS.filter((tool) => !existsSync(tool))
  if (process.getuid?.() === 0 && missing.length === 0) return true
  if (process.env.CI === 'true') throw new Error(`Needs root, and ${missing.join(', ')}`)
  return false
}

/** Takes about a minute: npm installs what the build needs. */
export async function buildImage(): Promise<Image> {
  const folder = await mkdtemp(join(tmpdir(), 'taskapi-image-'))
  const remove = () => rm(folder, { recursive: true, force: true })
  try {
    return { ...(await buildIn(folder)), remove }
  } catch (error) {
    await remove()
    throw error
  }
}

async function buildIn(folder: string): Promise<Omit<Image, 'remove'>> {
  const root = join(folder, 'root')
  const built = join(folder, 'build')
  await mkdir(built)
  const stages = await readStages(join(CONTEXT, 'Dockerfile'))
  const [build] = stages
  const final = stages.at(-1)
  if (!build || !final) throw new Error('The Dockerfile has no stages')
  const config = readConfig(final)
  const node = await findNode(build.base)
  await run('mmdebstrap', ['--quiet', '--variant=extract', `--include=${PACKAGES}`, SUITE, root])
  const surroundings = { context: CONTEXT, stages: {}, nodeFolder: dirname(node) }
  await followSteps(build, built, surroundings)
  await followSteps(final, root, { ...surroundings, stages: { build: built } })
  const place = join(root, config.entrypoint[0] ?? '')
  await mkdir(dirname(place), { recursive: true })
  await copyFile(node, place)
  return { root, config }
}

/** The version of Node that `base`, such as `node:26-trixie-slim`, has. */
async function findNode(base: string): Promise<string> {
  const major = /^node:(\d+)-/.exec(base)?.[1]
  if (!major) throw new Error(`There is no version of Node in "${base}"`)
  const words = ['-y', '-p', `node@${major}`, '-c', 'node -p process.execPath']
  const { stdout } = await run('npx', words, { cwd: tmpdir(), env: outsideNpm() })
  return stdout.trim()
}

export interface Container {
  lines: LogLine[]
  cgroup: MemoryCgroup
  stderr(): string
  /** Sends the image's stop signal, or another one, to the program. */
  stop(signal?: string): Promise<Exit>
  /** Runs a program of the image beside the first, under the same limit. */
  execute(program: readonly string[]): Promise<Exit & { output: string }>
}

/** Starts the image's program with `env` and this much memory. */
export function startContainer(
  { root, config }: Image,
  env: Record<string, string>,
  limitMib: number,
): Container {
  const cgroup = createMemoryCgroup(`taskapi-image-${process.pid}-${limitMib}`, limitMib * MIB)
  if (!cgroup) throw new Error('Cannot make a cgroup')
  const enter = (program: readonly string[]) => {
    const words = ['--mount', '--pid', '--ipc', '--uts', '--fork', '--kill-child', 'sh', '-c']
    const inside = ['sh', root, ...config.user.split(':'), ...program]
    const outside = ['-c', `${cgroup.enter} && exec "$@"`, 'sh', 'unshare', ...words, ENTER]
    const environment = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', ...config.env, ...env }
    return watch(spawn('/bin/sh', [...outside, ...inside], { env: environment, stdio: 'pipe' }))
  }
  const main = enter(config.entrypoint)
  const lines: LogLine[] = []
  createInterface(main.child.stdout).on('line', (text) => lines.push(JSON.parse(text)))
  return {
    lines,
    cgroup,
    stderr: () => main.output.stderr,
    stop: async (signal = config.stopSignal) => {
      const program = await findProgram(main.child)
      if (program) process.kill(program, signal)
      return main.exited
    },
    execute: async (program) => {
      const { exited, output } = enter(program)
      return { ...(await exited), output: output.stdout + output.stderr }
    },
  }
}

function watch(child: ChildProcessWithoutNullStreams) {
  const output = { stdout: '', stderr: '' }
  child.stdout.on('data', (text) => (output.stdout += text))
  child.stderr.on('data', (text) => (output.stderr += text))
  const exited = new Promise<Exit>((resolve) => {
    child.once('close', (code, signal) => resolve({ code, signal }))
  })
  return { child, output, exited }
}

/** The first process in the namespace that `unshare` made: a shell at first, then the program. */
async function findProgram({ pid }: ChildProcess): Promise<number | undefined> {
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '')
  return Number(children.trim()) || undefined
}
