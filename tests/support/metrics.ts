// Reads what a service says on its admin port.

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

const SAMPLE = /^(\w+)(?:\{(.*)\})? (\S+)$/
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g

export async function readMetrics(admin: string): Promise<Scrape> {
  const response = await fetch(`${admin}/metrics`)
  if (response.status !== 200) throw new Error(`/metrics answered ${response.status}`)
  const lines = (await response.text()).split('\n')
  const samples = lines.filter((line) => line !== '' && !line.startsWith('#')).map(parseSample)
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
