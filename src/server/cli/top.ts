// Runs in the process that the user started: the command `top`, a live view of a node, read from its admin port.
import { get } from 'node:http'
import { text } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import { readConfig } from '../config/config.ts'
import { LOOPBACK } from './healthcheck.ts'
import { compareReadings, type Figures } from './top-figures.ts'
import { parseExposition, type Reading } from './top-reading.ts'
import { renderScreen } from './top-screen.ts'

const INTERVAL_MS = 1000
const TIMEOUT_MS = 2000
const METRICS = '/metrics/listeners'
/** To the first place of the screen; the rest of a line, and what is below the last one, are deleted as they are reached. */
const HOME = '\x1b[H'
const CLEAR_LINE = '\x1b[K'
const CLEAR_BELOW = '\x1b[J'
const CLEAR_SCREEN = '\x1b[2J'

export interface TopOptions {
  /** Of the admin port; by default that of the settings. */
  url?: string
  /** Ends after the first second. */
  once: boolean
  json: boolean
}

interface Moment {
  readonly reading: Reading
  readonly atMs: number
}

/**
 * Shows each second what the node did within it: on a terminal always in the same place, elsewhere one block after the
 * other. Rejects when the node cannot be asked; on a terminal, where somebody waits for it to come back, only at the start.
 */
export async function showTop({ url, once, json }: TopOptions): Promise<void> {
  const node = url === undefined ? adminUrl() : parseUrl(url)
  const { stdout } = process
  const redraws = stdout.isTTY && !json && !once
  let open = true
  // Whoever reads has seen enough.
  stdout.on('error', () => {
    open = false
  })
  let before = await readNode(node)
  if (redraws) stdout.write(CLEAR_SCREEN)
  do {
    await delay(INTERVAL_MS)
    const after = await readNode(node).catch((error: Error) => {
      if (!redraws) throw error
      return error
    })
    if (after instanceof Error) {
      redraw([after.message])
      continue
    }
    const figures = compareReadings(
      before.reading,
      after.reading,
      (after.atMs - before.atMs) / 1000,
    )
    before = after
    if (redraws) redraw(renderScreen(figures, node.host))
    else stdout.write(json ? `${JSON.stringify(figures)}\n` : renderBlock(figures, node))
  } while (open && !once)
}

function adminUrl(): URL {
  const { ADMIN_HOST: host, ADMIN_PORT: port } = readConfig('command')
  if (!port) {
    const problem = port === 0 ? 'ADMIN_PORT is 0, any free one' : 'ADMIN_PORT is not set'
    throw new Error(
      `${problem}: start the service with it, or say where another one has it: --url http://127.0.0.1:9101`,
    )
  }
  const address = LOOPBACK[host] ?? host
  return new URL(`http://${address.includes(':') ? `[${address}]` : address}:${port}`)
}

function parseUrl(value: string): URL {
  const url = URL.parse(value)
  if (url?.protocol === 'http:') return url
  throw new Error(`--url is "${value}", expected a URL such as http://127.0.0.1:9101`)
}

async function readNode(node: URL): Promise<Moment> {
  const { status, body } = await ask(new URL(METRICS, node)).catch((error: unknown) => {
    throw new Error(`${node.host} did not answer: ${describe(error)}`, { cause: error })
  })
  const reading = parseExposition(body)
  const isOurs = [...reading.values()].some(({ name }) => name === 'taskapi_build_info')
  if (status === 200 && isOurs) return { reading, atMs: performance.now() }
  throw new Error(`${node.host} answered with ${status} and no metrics: is it the ADMIN_PORT?`)
}

function ask(url: URL): Promise<{ status: number | undefined; body: string }> {
  const options = { agent: false, signal: AbortSignal.timeout(TIMEOUT_MS) }
  return new Promise((resolve, reject) => {
    const request = get(url, options, (answer) => {
      text(answer).then((body) => resolve({ status: answer.statusCode, body }), reject)
    })
    request.on('error', reject)
  })
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  if (error.name === 'AbortError') return `nothing came within ${TIMEOUT_MS / 1000} s`
  // Where a name has several addresses, the message is empty.
  return error.message || String('code' in error ? error.code : error.name)
}

/** No more lines than the terminal has: a further one would scroll the first away. */
function redraw(lines: readonly string[]): void {
  const { stdout } = process
  const shown = lines.slice(0, stdout.rows - 1).map((line) => `${line}${CLEAR_LINE}\n`)
  stdout.write(`${HOME}${shown.join('')}${CLEAR_BELOW}`)
}

function renderBlock(figures: Figures, node: URL): string {
  return `${renderScreen(figures, node.host).join('\n')}\n\n`
}
