// The table of failures in docs/database.md says what the code does, and leaves nothing out.
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import {
  classify,
  type Failure,
  isRefusal,
  MEANING_OF_CLASS,
  MEANING_OF_CODE,
  meaningOf,
} from '../../src/db/failures.ts'
import { ConnectionError } from '../../src/db/wire/error.ts'
import { toProblem } from '../../src/server/api/failures.ts'

const AGAIN: Readonly<Record<Failure, string>> = {
  unreachable: 'reads',
  busy: 'no',
  retryable: 'yes',
  stale: 'elsewhere',
  refused: 'no',
}

interface Row {
  codes: string[]
  words: string
  failure: string
  again: string
  status: string
}

const page = readFileSync(new URL('../../docs/database.md', import.meta.url), 'utf8')
const rows = readTable(page, '| code | what the log says |')

function readTable(text: string, header: string): Row[] {
  const lines = text.slice(text.indexOf(header)).split('\n')
  const end = lines.findIndex((line) => !line.startsWith('|'))
  return lines.slice(2, end).map((line) => {
    const [code = '', words = '', failure = '', again = '', status = ''] = line
      .split('|')
      .slice(1)
      .map((cell) => cell.trim())
    return {
      codes: [...code.matchAll(/`([^`]+)`/g)].map(([, each]) => each ?? ''),
      words,
      failure,
      again,
      status,
    }
  })
}

/** As both clients report it. */
function errorOf(code: string): Error {
  if (code.includes('_') || /^E[A-Z]+$/.test(code)) return new ConnectionError(code, 'message')
  const sqlstate = code.replace('others', '22000').replace('xxx', '999')
  return Object.assign(new Error('message'), { name: 'PostgresError', code: sqlstate })
}

test('the table has a row for every code and every class, once', () => {
  const classes = Object.keys(MEANING_OF_CLASS).map((each) => `${each}xxx`)
  const expected = [...Object.keys(MEANING_OF_CODE), ...classes, 'others']
  expect(rows.flatMap(({ codes }) => codes).sort()).toEqual(expected.sort())
})

describe.each(rows)('$codes', ({ codes, words, failure, again, status }) => {
  test.each(codes)('%s is what the table says', (code) => {
    const error = errorOf(code)
    expect(classify(error)).toBe(failure)
    expect(String(toProblem(error).status)).toBe(status)
    expect(again).toBe(AGAIN[failure as Failure])
    expect(meaningOf(error)?.words).toBe(words)
  })
})

test.each([
  ['a type that was made anew is stale', 'XX000', 'cache lookup failed for type 1', '', 'stale'],
  ['another internal error is refused', 'XX000', 'tuple concurrently updated', '', 'refused'],
  ['a column that a statement misses is stale', '42703', 'column "x" does not exist', '', 'stale'],
  [
    'one that a function misses is refused',
    '42703',
    'record has no field',
    'function f()',
    'refused',
  ],
])('%s', (_, code, message, where, failure) => {
  const error = Object.assign(new Error(message), { name: 'PostgresError', code, where })
  expect(classify(error)).toBe(failure)
  expect(isRefusal(error)).toBe(true)
})
