// docs/security.md answers every item of ASVS once, names tests and files that exist, and counts right.
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** A file, and the names of tests or headings in it. */
const PROOF = /`([^`]+)`((?:,? "[^"]+")*)/g
/** In these, the file alone says too little. */
const NEEDS_NAMES = /\.test\.ts$|\/cases\/|\.md$/
/** The items of ASVS 5.0 up to level 2, by section; a star marks those of level 1. */
const ITEMS: Record<string, string> = {
  '1.1': '1 2',
  '1.2': '1* 2* 3* 4* 5* 6 7 8 9',
  '1.3': '1* 2* 3 4 5 6 7 8 9 10 11',
  '1.4': '1 2 3',
  '1.5': '1* 2',
  '2.1': '1* 2 3',
  '2.2': '1* 2* 3',
  '2.3': '1* 2 3 4',
  '2.4': '1',
  '3.2': '1* 2*',
  '3.3': '1* 2 3 4',
  '3.4': '1* 2* 3 4 5 6',
  '3.5': '1* 2* 3* 4 5',
  '3.7': '1 2',
  '4.1': '1* 2 3',
  '4.2': '1',
  '4.3': '1 2',
  '4.4': '1* 2 3 4',
  '5.1': '1',
  '5.2': '1* 2* 3',
  '5.3': '1* 2*',
  '5.4': '1 2 3',
  '6.1': '1* 2 3',
  '6.2': '1* 2* 3* 4* 5* 6* 7* 8* 9 10 11 12',
  '6.3': '1* 2* 3 4',
  '6.4': '1* 2* 3 4',
  '6.5': '1 2 3 4 5',
  '6.6': '1 2 3',
  '6.8': '1 2 3 4',
  '7.1': '1 2 3',
  '7.2': '1* 2* 3* 4*',
  '7.3': '1 2',
  '7.4': '1* 2* 3 4 5',
  '7.5': '1 2',
  '7.6': '1 2',
  '8.1': '1* 2',
  '8.2': '1* 2* 3',
  '8.3': '1*',
  '8.4': '1',
  '9.1': '1* 2* 3*',
  '9.2': '1* 2 3 4',
  '10.1': '1 2',
  '10.2': '1 2',
  '10.3': '1 2 3 4',
  '10.4': '1* 2* 3* 4* 5* 6 7 8 9 10 11',
  '10.5': '1 2 3 4 5',
  '10.6': '1 2',
  '10.7': '1 2 3',
  '11.1': '1 2',
  '11.2': '1 2 3',
  '11.3': '1* 2* 3',
  '11.4': '1* 2 3 4',
  '11.5': '1',
  '11.6': '1',
  '12.1': '1* 2 3',
  '12.2': '1* 2*',
  '12.3': '1 2 3 4',
  '13.1': '1',
  '13.2': '1 2 3 4 5',
  '13.3': '1 2',
  '13.4': '1* 2 3 4 5',
  '14.1': '1 2',
  '14.2': '1* 2 3 4',
  '14.3': '1* 2 3',
  '15.1': '1* 2 3',
  '15.2': '1* 2 3',
  '15.3': '1* 2 3 4 5 6 7',
  '16.1': '1',
  '16.2': '1 2 3 4 5',
  '16.3': '1 2 3 4',
  '16.4': '1 2 3',
  '16.5': '1 2 3',
  '17.1': '1',
  '17.2': '1 2 3 4',
  '17.3': '1 2',
}

interface Row {
  ids: string[]
  cells: string[]
}

const page = read('docs/security.md')
const rows = page
  .split('\n')
  .filter((line) => /^\| \d/.test(line))
  .map(readRow)
const answered = rows.filter(({ cells }) => cells.length === 4)
const excused = rows.filter(({ cells }) => cells.length === 2)
const unmet = answered.filter(({ cells }) => cells[2]?.startsWith('not met')).flatMap(idsOf)

function read(path: string): string {
  return readFileSync(`${ROOT}${path}`, 'utf8')
}

function readRow(line: string): Row {
  const cells = line
    .slice(1, -1)
    .split('|')
    .map((cell) => cell.trim())
  return { ids: cells[0]?.split(', ') ?? [], cells }
}

function idsOf({ ids }: Row): string[] {
  return ids
}

/** The ids of all items, or of those of level 1. */
function listed(level?: 1): string[] {
  return Object.entries(ITEMS).flatMap(([section, numbers]) =>
    numbers
      .split(' ')
      .filter((number) => level === undefined || number.endsWith('*'))
      .map((number) => `${section}.${number.replace('*', '')}`),
  )
}

/** The files that a proof names, each with the quoted names behind it. */
function proofsOf({ cells }: Row): { path: string; names: string[] }[] {
  const named = [...(cells[3] ?? '').matchAll(PROOF)]
  return named.map(([, path = '', names = '']) => ({
    path,
    names: [...names.matchAll(/"([^"]+)"/g)].map(([, name = '']) => name),
  }))
}

test('every item has one row, and every row is about items', () => {
  expect(listed().length).toBe(253)
  expect(rows.flatMap(idsOf).toSorted()).toEqual(listed().toSorted())
  for (const { cells } of rows) {
    expect([2, 4], String(cells)).toContain(cells.length)
    expect(cells, String(cells)).not.toContain('')
  }
})

test('an item that applies has a row for itself', () => {
  for (const { ids } of answered) expect(ids.length, String(ids)).toBe(1)
})

test.each(answered.map((row) => [row.ids[0], row] as const))(
  'the proof of %s is there',
  (_, row) => {
    const proofs = proofsOf(row)
    // Nothing is left over that looks like a proof and is none.
    const rest = row.cells[3]?.replaceAll(PROOF, '').replaceAll(/[; ]/g, '')
    expect([proofs.length > 0, rest]).toEqual([true, ''])
    for (const { path, names } of proofs) {
      expect(existsSync(`${ROOT}${path}`), path).toBe(true)
      if (NEEDS_NAMES.test(path)) expect(names.length, path).toBeGreaterThan(0)
      for (const name of names) expect(has(path, name), `${path} "${name}"`).toBe(true)
    }
  },
)

/** Whether a page has this heading, or a file a test whose name contains this. */
function has(path: string, name: string): boolean {
  const text = read(path)
  if (!path.endsWith('.md')) return text.includes(name)
  return text.split('\n').some((line) => /^#+ /.test(line) && line.endsWith(`# ${name}`))
}

test('the counts at the top are those of the tables', () => {
  const counts = /\b(\d+)\s+items, (\d+) are met, (\d+)\s+are\s+not met, and (\d+) do not apply/
  const found = counts.exec(page.replaceAll(/\s+/g, ' '))?.slice(1).map(Number)
  const met = answered.length - unmet.length
  expect(found).toEqual([listed().length, met, unmet.length, excused.flatMap(idsOf).length])
})

test('the list at the top has every item that is not met, those of level 1 in bold', () => {
  const top = page.slice(page.indexOf('What is not met'), page.indexOf('\nIn the tables'))
  const found = [...top.matchAll(/(\*\*)?\b(\d+\.\d+\.\d+)\b/g)]
  expect(found.map(([, , id = '']) => id).toSorted()).toEqual(unmet.toSorted())
  const bold = found.flatMap(([, mark, id = '']) => (mark ? id : []))
  expect(bold.toSorted()).toEqual(unmet.filter((id) => listed(1).includes(id)).toSorted())
})
