// Reads what a service says on its admin port, and asks the readers of Python's client what they make of it.
import { spawnSync } from 'node:child_process'

export interface Sample {
  name: string
  labels: Record<string, string>
  value: number
}

export interface Scrape {
  samples: Sample[]
  /** The sum of the samples of that name with these labels; undefined when there is none. */
  sum(name: string, labels?: Record<string, string>): number | undefined
}

const PYTHON = '/usr/bin/python3'
const SAMPLE = /^(\w+)(?:\{(.*)\})? (\S+)$/
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g
/** Prints each sample as a line of JSON; fails on whatever the format forbids. */
const PARSE = `
import importlib, json, sys
parser = importlib.import_module(sys.argv[1])
for family in parser.text_string_to_metric_families(sys.stdin.read()):
    for sample in family.samples:
        print(json.dumps([sample.name, sample.labels, sample.value]))
`

/** Python's modules that read the two formats. */
export const READERS = {
  text: 'prometheus_client.parser',
  openMetrics: 'prometheus_client.openmetrics.parser',
} as const

export async function readMetrics(admin: string): Promise<Scrape> {
  const response = await fetch(`${admin}/metrics`)
  if (response.status !== 200) throw new Error(`/metrics answered ${response.status}`)
  const lines = (await response.text()).split('\n')
  return scrapeOf(lines.filter((line) => line !== '' && !line.startsWith('#')).map(parseSample))
}

/** False where it is not installed; throws in CI, where nothing may be missing. */
export function hasPythonClient(): boolean {
  const { status } = spawnSync(PYTHON, ['-c', `import ${READERS.openMetrics}`])
  if (status !== 0 && process.env.CI === 'true') throw new Error('Python has no prometheus_client')
  return status === 0
}

/** What the reader finds in the text. Throws what it says about a text that it does not accept. */
export function parseWithPython(reader: keyof typeof READERS, text: string): Scrape {
  const options = { input: text, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 } as const
  const { status, stdout, stderr } = spawnSync(PYTHON, ['-c', PARSE, READERS[reader]], options)
  if (status !== 0) throw new Error(stderr)
  const rows = stdout.trim().split('\n')
  return scrapeOf(
    rows.map((row) => {
      const [name, labels, value] = JSON.parse(row)
      return { name, labels, value }
    }),
  )
}

function scrapeOf(samples: Sample[]): Scrape {
  return {
    samples,
    sum: (name, labels = {}) => {
      const found = samples.filter((sample) => sample.name === name && has(sample, labels))
      return found.length === 0 ? undefined : found.reduce((sum, { value }) => sum + value, 0)
    },
  }
}

function parseSample(line: string): Sample {
  const [, name = '', labels = '', value = ''] = SAMPLE.exec(line) ?? []
  if (name === '') throw new Error(`Not a sample: ${line}`)
  return {
    name,
    labels: Object.fromEntries([...labels.matchAll(LABEL)].map(([, key, text]) => [key, text])),
    value: Number(value),
  }
}

function has({ labels }: Sample, wanted: Record<string, string>): boolean {
  return Object.entries(wanted).every(([name, value]) => labels[name] === value)
}
