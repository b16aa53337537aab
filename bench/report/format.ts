// How figures are written in reports.
import type { Spread } from '../measure/spread.ts'
import type { Row } from './summary.ts'

export interface Table {
  title: string
  about: string
  head: string[]
  rows: string[][]
}

export function markdownTable({ head, rows }: Pick<Table, 'head' | 'rows'>): string {
  const line = (cells: string[]) => `| ${cells.join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}

export function throughput(row: Row): string {
  return withSpread(row.requests_per_second, count) + limitMark(row)
}

export function limitMark(row: Row): string {
  return row.generator_limited ? ' ^' : ''
}

export function withSpread(spread: Spread | undefined, format: (value: number) => string): string {
  if (!spread) return ''
  const { median, min, max } = spread
  return min === max ? format(median) : `${format(median)} (${format(min)} to ${format(max)})`
}

export function count(value: number): string {
  return Math.round(value).toLocaleString('en').replaceAll(',', ' ')
}

export function microseconds(spread: Spread | undefined): string {
  return spread ? withSpread(spread, (value) => value.toFixed(value < 100 ? 1 : 0)) + ' us' : ''
}

export function milliseconds(spread: Spread | undefined): string {
  return spread
    ? withSpread(spread, (value) => (value / 1000).toFixed(value < 10_000 ? 2 : 1)) + ' ms'
    : ''
}

export function megabytes(spread: Spread | undefined): string {
  return spread ? `${(spread.median / 1e6).toFixed(1)} MB` : ''
}

export function gib(bytes: number): string {
  return `${(bytes / 1024 ** 3).toFixed(0)} GiB`
}

export function ratio(value: number | undefined, to: number | undefined): string {
  return value !== undefined && to ? `${(value / to).toFixed(2)} x` : ''
}

/** A change as a share, with its sign. */
export function percent(change: number): string {
  return `${change >= 0 ? '+' : ''}${(change * 100).toFixed(1)} %`
}
