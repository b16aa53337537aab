// Runs in the process that the user started, for the command `top`: reads Prometheus' text format, as far as this service
// writes it, and says what happened between two readings.

export interface Sample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

/** By name and labels as they are written, which two readings of one service do alike. */
export type Reading = ReadonlyMap<string, Sample>

export type Labels = Readonly<Record<string, string>>

const SAMPLE = /^([a-z_]\w*)(?:\{(.*)\})? (\S+)/i
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g
const ESCAPED = /\\(.)/g

export function parseExposition(text: string): Reading {
  const samples = new Map<string, Sample>()
  for (const line of text.split('\n')) {
    const [, name, labels = '', value = ''] = SAMPLE.exec(line) ?? []
    if (name === undefined) continue
    samples.set(`${name}{${labels}}`, {
      name,
      labels: parseLabels(labels),
      value: parseNumber(value),
    })
  }
  return samples
}

function parseLabels(text: string): Labels {
  const pairs = [...text.matchAll(LABEL)].map(([, name = '', value = '']) => [
    name,
    value.replaceAll(ESCAPED, (_, letter) => (letter === 'n' ? '\n' : letter)),
  ])
  return Object.fromEntries(pairs)
}

/** JavaScript writes out what the format abbreviates. */
function parseNumber(text: string): number {
  return Number(text.replace('Inf', 'Infinity'))
}

/**
 * How much each sample grew by, per second. One that is less than before has begun again at zero, and one that was not there
 * has begun since.
 */
export function findRates(before: Reading, after: Reading, seconds: number): Sample[] {
  return [...after].map(([key, sample]) => {
    const earlier = before.get(key)?.value ?? 0
    const growth = sample.value >= earlier ? sample.value - earlier : sample.value
    return { ...sample, value: growth / seconds }
  })
}

/** The samples of a name whose labels have these values. */
export function select(samples: Iterable<Sample>, name: string, labels: Labels = {}): Sample[] {
  const wanted = Object.entries(labels)
  return [...samples].filter(
    (sample) =>
      sample.name === name && wanted.every(([label, value]) => sample.labels[label] === value),
  )
}

export function sum(samples: readonly Sample[]): number {
  return samples.reduce((total, { value }) => total + value, 0)
}

/**
 * The value below which a share of what was measured lies, as Prometheus' `histogram_quantile` finds it: evenly spread
 * within a bucket. `undefined` when nothing was measured.
 *
 * @param buckets of one histogram or of several with the same bounds
 */
export function findQuantile(share: number, buckets: readonly Sample[]): number | undefined {
  const counts = new Map<number, number>()
  for (const { labels, value } of buckets) {
    const bound = parseNumber(labels.le ?? 'NaN')
    counts.set(bound, (counts.get(bound) ?? 0) + value)
  }
  const rank = share * (counts.get(Infinity) ?? 0)
  if (rank === 0) return undefined
  let [lowerBound, lowerCount] = [0, 0]
  for (const [bound, count] of [...counts].sort(([one], [other]) => one - other)) {
    if (count >= rank) {
      // Nothing is known of what lies beyond the last bound.
      if (bound === Infinity) return lowerBound
      return lowerBound + ((bound - lowerBound) * (rank - lowerCount)) / (count - lowerCount)
    }
    lowerBound = bound
    lowerCount = count
  }
  return undefined
}
