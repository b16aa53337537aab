// Runs in the tests. Reads the Dockerfile, and follows its steps without a container engine: in folders that stand for
// the root of each stage. What it does not know it refuses, so that no step is left out unnoticed.
import { execFile } from 'node:child_process'
import { cp, mkdir, readFile, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

export interface Step {
  instruction: string
  rest: string
}

export interface Stage {
  name: string | undefined
  base: string
  steps: readonly Step[]
}

/** How the last stage is run. */
export interface ImageConfig {
  env: Record<string, string>
  entrypoint: readonly string[]
  healthcheck: readonly string[] | undefined
  user: string
  stopSignal: string
  port: number
}

export async function readStages(file: string): Promise<Stage[]> {
  const text = (await readFile(file, 'utf8')).replaceAll(/^#.*\n/gm, '')
  const stages: { name: string | undefined; base: string; steps: Step[] }[] = []
  for (const line of text.replaceAll(/\\\n\s*/g, '').split('\n')) {
    const [, instruction, rest] = /^([A-Z]+) +(.*)$/.exec(line) ?? []
    if (!instruction || !rest) {
      if (line.trim() === '') continue
      throw new Error(`This line of the Dockerfile is not understood: ${line}`)
    }
    if (instruction === 'FROM') {
      const [base = '', , name] = rest.split(' ')
      stages.push({ name, base, steps: [] })
    } else stages.at(-1)?.steps.push({ instruction, rest })
  }
  return stages
}

/** Where steps find what they copy, and the program that they call `node`. */
export interface Surroundings {
  context: string
  /** Folder of the root of each earlier stage, by the stage's name. */
  stages: Readonly<Record<string, string>>
  nodeFolder: string
}

/** Follows the steps of a stage that change files, with `root` in the place of `/`. */
export async function followSteps(
  { steps }: Stage,
  root: string,
  surroundings: Surroundings,
): Promise<void> {
  let folder = root
  for (const { instruction, rest } of steps) {
    if (instruction === 'WORKDIR') {
      folder = join(root, rest)
      await mkdir(folder, { recursive: true })
    } else if (instruction === 'COPY') await copy(rest, folder, surroundings)
    else if (instruction === 'RUN') {
      const env = outsideNpm({ PATH: `${surroundings.nodeFolder}:${process.env.PATH}` })
      await run('/bin/sh', ['-c', rest], { cwd: folder, env, maxBuffer: 2 ** 24 })
    }
  }
}

/** This environment without what npm tells the scripts that it runs: another npm would take it for its own. */
export function outsideNpm(changes: Record<string, string> = {}): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !/^(npm_|NODE_ENV$)/.test(name))
  return { ...Object.fromEntries(kept), ...changes }
}

async function copy(rest: string, folder: string, { context, stages }: Surroundings) {
  const words = rest.split(/ +/)
  const from = /^--from=(.*)$/.exec(words[0] ?? '')?.[1]
  if (from) words.shift()
  const source = from === undefined ? context : stages[from]
  const target = words.pop()
  if (source === undefined || target === undefined) throw new Error(`Cannot follow COPY ${rest}`)
  for (const word of words) {
    const path = join(source, word)
    const isFolder = (await stat(path)).isDirectory()
    // A folder's content is copied, and not the folder.
    const place = join(folder, target, isFolder ? '' : basename(word))
    await cp(path, place, { recursive: true, verbatimSymlinks: true })
  }
}

/** What a stage says about how it is run. */
export function readConfig({ steps }: Stage): ImageConfig {
  const last = (name: string) => steps.findLast(({ instruction }) => instruction === name)?.rest
  const env = steps
    .filter(({ instruction }) => instruction === 'ENV')
    .flatMap(({ rest }) => [...rest.matchAll(/(\w+)=(\S+)/g)])
  const check = /CMD (\[.*\])$/.exec(last('HEALTHCHECK') ?? '')?.[1]
  return {
    env: Object.fromEntries(env.map(([, name, value]) => [String(name), String(value)])),
    entrypoint: JSON.parse(last('ENTRYPOINT') ?? '[]'),
    healthcheck: check === undefined ? undefined : JSON.parse(check),
    user: last('USER') ?? '',
    stopSignal: last('STOPSIGNAL') ?? '',
    port: Number(last('EXPOSE')),
  }
}

const KNOWN = ['WORKDIR', 'COPY', 'RUN', 'ENV', 'USER', 'EXPOSE', 'STOPSIGNAL', 'ENTRYPOINT']
const DESCRIBING = ['LABEL', 'HEALTHCHECK']

/** Instructions that nothing here follows or reads. */
export function listUnknown(stages: readonly Stage[]): string[] {
  const all = stages.flatMap(({ steps }) => steps.map(({ instruction }) => instruction))
  return all.filter((instruction) => ![...KNOWN, ...DESCRIBING].includes(instruction))
}
