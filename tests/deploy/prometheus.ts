// Prometheus as Debian has it, on the files in `deploy`. It may be missing anywhere but in CI.
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { parse, stringify } from 'yaml'
import { probePort } from '../../src/server/process/claims.ts'
import { eventually } from '../support/client.ts'

const BINARY = '/usr/bin/prometheus'
export const PROMTOOL = '/usr/bin/promtool'
const START_MS_MAX = 60_000
const INTERVAL = '1s'

export interface Group {
  name: string
  rules: Rule[]
}

export interface Rule {
  alert: string
  expr: string
  for?: string
  labels: { severity: string }
  annotations: Record<string, string>
}

export interface Series {
  metric: Record<string, string>
  value: [atSeconds: number, value: string]
}

export interface Prometheus {
  url: string
  /** What the HTTP API answers. Throws when it reports an error. */
  // The answers have every shape.
  // oxlint-disable-next-line typescript/no-explicit-any
  ask(path: string, parameters?: Record<string, string>): Promise<any>
  query(expression: string): Promise<Series[]>
  stop(): Promise<void>
}

/** False where it is not installed; throws in CI, where nothing may be missing. */
export function hasPrometheus(): boolean {
  if (existsSync(BINARY) && existsSync(PROMTOOL)) return true
  if (process.env.CI === 'true') throw new Error(`There is no ${BINARY} or no ${PROMTOOL}`)
  return false
}

export const runTool = promisify(execFile)

export function pathOf(name: string): string {
  return fileURLToPath(new URL(`../../deploy/${name}`, import.meta.url))
}

export async function readRules(): Promise<Group[]> {
  return parse(await readFile(pathOf('alerts.yml'), 'utf8')).groups
}

/** Starts it on the shipped files: with other targets, each second, and with alerts that do not wait before they fire. */
export async function startPrometheus(targets: string[]): Promise<Prometheus> {
  const folder = await mkdtemp(join(tmpdir(), 'taskapi-prometheus-'))
  const file = join(folder, 'prometheus.yml')
  const config = parse(await readFile(pathOf('prometheus.yml'), 'utf8'))
  config.global = { scrape_interval: INTERVAL, evaluation_interval: INTERVAL }
  config.scrape_configs[0].static_configs[0].targets = targets
  await writeFile(file, stringify(config))
  const groups = (await readRules()).map(({ name, rules }) => ({
    name,
    rules: rules.map((rule) => ({ ...rule, for: '0s' })),
  }))
  await writeFile(join(folder, 'alerts.yml'), stringify({ groups }))
  const port = await probePort('127.0.0.1', 0)
  const child = spawn(
    BINARY,
    [
      `--config.file=${file}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] },
  )
  let output = ''
  child.stderr.on('data', (text) => (output += text))
  const url = `http://127.0.0.1:${port}`
  const prometheus = { url, ...createApi(url) }
  const stop = async () => {
    if (child.exitCode === null && child.kill()) await once(child, 'exit')
    await rm(folder, { recursive: true })
  }
  await eventually(
    'Prometheus is ready',
    async () => {
      if (child.exitCode !== null) throw new Error(`Prometheus ended: ${output}`)
      return fetch(`${url}/-/ready`).then(
        ({ ok }) => ok,
        () => false,
      )
    },
    START_MS_MAX,
  )
  return { ...prometheus, stop }
}

function createApi(url: string): Pick<Prometheus, 'ask' | 'query'> {
  const ask = async (path: string, parameters: Record<string, string> = {}) => {
    const target = new URL(`/api/v1/${path}`, url)
    target.search = new URLSearchParams(parameters).toString()
    const answer = await fetch(target)
    const body = JSON.parse(await answer.text())
    if (body.status !== 'success') throw new Error(`${path}: ${body.error}`)
    return body.data
  }
  return { ask, query: async (query) => (await ask('query', { query })).result }
}
