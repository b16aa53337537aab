// The article's table beside what was measured here, one table for each of its figures.
import type { Spread } from '../measure/spread.ts'
import { OURS } from '../servers/ours.ts'
import { ARTICLE, type ArticleRow, REFERENCE } from './article.ts'
import { count, limitMark, ratio, type Table, withSpread } from './format.ts'
import type { Row } from './summary.ts'

const ARTICLE_NOTE =
  "The article does not state its hardware, its load generator, its connections or the code of its servers, so its absolute figures cannot be compared with anything. What can be compared is the order of the frameworks and their ratios to Express. The article's p99 seems to come from a closed loop; ours is timed from when a request was due, at the offered rate of `json` below, and a server that cannot sustain that rate has none."

/** One table for each figure of the article. */
const ARTICLE_FIGURES: readonly {
  title: string
  article: (row: ArticleRow) => number
  format: (value: number) => string
  /** In the article's unit. */
  measured: (row: Row) => Spread | undefined
}[] = [
  {
    title: 'requests per second',
    article: (row) => row.requestsPerSecond,
    format: count,
    measured: (row) => row.requests_per_second,
  },
  {
    title: 'p99 latency in ms',
    article: (row) => row.p99Ms,
    format: (value) => String(Math.round(value * 100) / 100),
    measured: (row) => row.open_p99_us && scale(row.open_p99_us, 1e-3),
  },
  {
    title: 'idle memory in MB (measured: PSS of all processes)',
    article: (row) => row.idleMemoryMb,
    format: (value) => String(Math.round(value)),
    measured: (row) => row.idle_pss_bytes && scale(row.idle_pss_bytes, 1e-6),
  },
]

export function articleTables(rows: readonly Row[]): Table[] {
  const find = (server: string) =>
    rows.find((row) => row.scenario === 'json' && row.server === server && !row.invalid)
  const reference = find(REFERENCE)
  const articleReference = ARTICLE.find(({ server }) => server === REFERENCE)
  return ARTICLE_FIGURES.map(({ title, article, format, measured }, index) => {
    const cells = (server: string) => {
      const row = find(server)
      const value = row && measured(row)
      if (!row || !value) return ['not measured', '']
      const mark = measured(row) === row.requests_per_second ? limitMark(row) : ''
      const to = reference && measured(reference)?.median
      return [withSpread(value, format) + mark, ratio(value.median, to)]
    }
    const lines = ARTICLE.map((row) => [
      row.framework,
      format(article(row)),
      ratio(article(row), articleReference && article(articleReference)),
      ...cells(row.server),
    ])
    return {
      title: `The article's table, measured here: ${title}`,
      about: index === 0 ? ARTICLE_NOTE : '',
      head: ['framework', 'article', 'to Express', 'measured', 'to Express'],
      rows: [...lines, [`**${OURS}**`, '', '', ...cells(OURS)]],
    }
  })
}

function scale({ median, min, max }: Spread, by: number): Spread {
  return { median: median * by, min: min * by, max: max * by }
}
