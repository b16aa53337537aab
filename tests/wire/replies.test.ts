import { describe, expect, test } from 'vitest'
import type { CallKind } from '../../src/db/wire/calls.ts'
import { MessageReader } from '../../src/db/wire/reader.ts'
import { Replies } from '../../src/db/wire/replies.ts'
import { declareStatement, type Statement } from '../../src/db/wire/statement.ts'
import { INT4, INT8, TEXT } from '../../src/db/wire/types.ts'
import { collect, type Outcome } from './conversations.ts'
import { READY, report, tagged } from './scripted-server.ts'

const PAIR = declareStatement({ name: 'pair', text: '', parameters: [INT4], columns: [TEXT, TEXT] })
const UNNAMED = declareStatement({ ...PAIR, name: '', columns: [TEXT, INT8] })
const NOTHING = declareStatement({ ...PAIR, name: 'nothing', columns: [] })
const LIMITS = { messageBytesMax: 100_000, replyBytesMax: 100_000 }

const bound = tagged('2')
const parsed = tagged('1')
const noData = tagged('n')
const row = dataRow('0002', '00000001', '61', 'ffffffff')
const parameters = tagged('t', hex('0001', '00000017'))

function hex(...parts: string[]): Buffer {
  return Buffer.from(parts.join(''), 'hex')
}

function dataRow(...parts: string[]): Buffer {
  return tagged('D', hex(...parts))
}

function complete(tag: string): Buffer {
  return tagged('C', Buffer.from(`${tag}\0`))
}

/** A description of columns with these types and formats. */
function columns(...types: [oid: number, format: number][]): Buffer {
  const parts = types.map(([oid, format]) => {
    const bytes = Buffer.alloc(20)
    bytes.write('c\0')
    bytes.writeInt32BE(oid, 8)
    bytes.writeInt16BE(format, 18)
    return bytes
  })
  return tagged(
    'T',
    Buffer.concat([hex('00', types.length.toString(16).padStart(2, '0')), ...parts]),
  )
}

interface Played {
  outcomes: Promise<Outcome>[]
  /** The code of what ended it, if anything did. */
  code: string
}

/** Lets `messages` be the answer to these calls, of which the last `unsent` have not been sent. */
function play(calls: [CallKind, Statement | undefined][], messages: Buffer[], unsent = 0): Played {
  const replies = new Replies(LIMITS.replyBytesMax, {})
  const reader = new MessageReader(LIMITS.messageBytesMax, (code, bytes, start, end) =>
    replies.take(code, bytes, start, end),
  )
  const outcomes = calls.map(([kind, statement], index) => {
    if (index === calls.length - unsent) replies.markSent()
    const { sink, outcome } = collect()
    replies.add(kind, statement, sink)
    return outcome
  })
  if (unsent === 0) replies.markSent()
  const bytes = Buffer.concat(messages)
  let code = ''
  try {
    reader.feed(bytes, bytes.length)
  } catch (error) {
    code = error instanceof Error && 'code' in error ? String(error.code) : String(error)
  }
  replies.failAll(new Error('the end'))
  return { outcomes, code }
}

describe('legal are', () => {
  test.each<[string, CallKind, Statement | undefined, Buffer[], object]>([
    [
      'rows of a prepared statement',
      'execute',
      PAIR,
      [bound, row, row, complete('SELECT 2'), READY],
      {
        rows: [
          ['a', null],
          ['a', null],
        ],
        count: 2,
      },
    ],
    ['no rows', 'execute', PAIR, [bound, complete('SELECT 0'), READY], { rows: [], count: 0 }],
    [
      'rows that a command without count returns',
      'execute',
      PAIR,
      [bound, row, complete('SHOW'), READY],
      { rows: [['a', null]], count: 0 },
    ],
    [
      'changes without rows',
      'execute',
      NOTHING,
      [bound, complete('INSERT 0 12'), READY],
      { rows: [], count: 12 },
    ],
    [
      'a tag whose number is no count',
      'execute',
      PAIR,
      [bound, complete('CREATE X1'), READY],
      { count: 0 },
    ],
    ['an empty statement', 'execute', NOTHING, [bound, tagged('I'), READY], { count: 0 }],
    [
      'a statement without name',
      'execute',
      UNNAMED,
      [parsed, bound, columns([25, 0], [20, 1]), complete('SELECT 0'), READY],
      { count: 0 },
    ],
    [
      'an error at once',
      'execute',
      PAIR,
      [report('E', 'ERROR', '42P01'), READY],
      { error: { code: '42P01' }, sent: true },
    ],
    [
      'an error among rows',
      'execute',
      PAIR,
      [bound, row, report('E', 'ERROR', '22012'), READY],
      { error: { code: '22012' } },
    ],
    [
      'an error of the commit',
      'execute',
      PAIR,
      [bound, complete('SELECT 0'), report('E', 'ERROR', '23503'), READY],
      { error: { code: '23503' } },
    ],
    [
      'a description',
      'prepare',
      PAIR,
      [parsed, parameters, columns([25, 0], [25, 0]), READY],
      { count: 0 },
    ],
    [
      'a description in text of what comes in binary',
      'prepare',
      UNNAMED,
      [parsed, parameters, columns([25, 0], [20, 0]), READY],
      { count: 0 },
    ],
    [
      'a description of nothing',
      'prepare',
      NOTHING,
      [parsed, parameters, noData, READY],
      { count: 0 },
    ],
    [
      'results of a query',
      'query',
      undefined,
      [complete('SET'), columns([25, 0], [25, 0]), row, complete('SELECT 1'), tagged('I'), READY],
      { rows: [['a', null]] },
    ],
  ])('%s', async (_, kind, statement, messages, expected) => {
    const { outcomes, code } = play([[kind, statement]], messages)
    expect(code).toBe('')
    expect(await outcomes[0]).toMatchObject({ ...expected, settled: 1 })
  })
})

describe('nobody gets an answer from', () => {
  test.each<[string, CallKind, Statement | undefined, Buffer[], rows?: number]>([
    ['a row with a column less', 'execute', PAIR, [bound, dataRow('0001', '00000001', '61')]],
    [
      'a row with a column more',
      'execute',
      PAIR,
      [bound, dataRow('0003', '00000000', '00000000', '00000000')],
    ],
    [
      'a row that counts a column more than it has',
      'execute',
      PAIR,
      [bound, dataRow('0003', '00000001', '61', 'ffffffff')],
    ],
    ['a row without its columns', 'execute', PAIR, [bound, dataRow('0002')]],
    ['a row without its last column', 'execute', PAIR, [bound, dataRow('0002', '00000001', '61')]],
    [
      'a row that is cut in a length',
      'execute',
      PAIR,
      [bound, dataRow('0002', '00000001', '61', 'ffff')],
    ],
    [
      'a row that is cut in a value',
      'execute',
      PAIR,
      [bound, dataRow('0002', '00000001', '61', '00000009', '62')],
    ],
    [
      'a row with a negative length',
      'execute',
      PAIR,
      [bound, dataRow('0002', '00000001', '61', 'fffffffe')],
    ],
    [
      'a row with a huge length',
      'execute',
      PAIR,
      [bound, dataRow('0002', '7fffffff', '61', 'ffffffff')],
    ],
    [
      'a row with bytes behind',
      'execute',
      PAIR,
      [bound, dataRow('0002', '00000001', '61', 'ffffffff', '00')],
    ],
    ['a row without anything', 'execute', PAIR, [bound, tagged('D')]],
    ['a row before Bind was accepted', 'execute', PAIR, [row]],
    ['a row behind the end', 'execute', PAIR, [bound, complete('SELECT 0'), row]],
    ['a row behind an error', 'execute', PAIR, [bound, report('E', 'ERROR', '22012'), row]],
    ['a row while a statement is prepared', 'prepare', PAIR, [parsed, row]],
    ['a row of a query before its description', 'query', undefined, [row]],
    ['fewer rows than were counted', 'execute', PAIR, [bound, row, complete('SELECT 2'), READY], 1],
    [
      'more rows than were counted',
      'execute',
      PAIR,
      [bound, row, row, complete('SELECT 1'), READY],
      2,
    ],
    ['two ends', 'execute', PAIR, [bound, complete('SELECT 0'), complete('SELECT 0')]],
    ['an end without a zero', 'execute', PAIR, [bound, tagged('C', Buffer.from('SELECT 0'))]],
    ['an end with two zeros', 'execute', PAIR, [bound, tagged('C', Buffer.from('SELECT 0\0\0'))]],
    ['an empty end', 'execute', PAIR, [bound, tagged('C', Buffer.from('\0'))]],
    [
      'an end behind an error',
      'execute',
      PAIR,
      [bound, report('E', 'ERROR', '22012'), complete('SELECT 0')],
    ],
    ['two errors', 'execute', PAIR, [report('E', 'ERROR', '22012'), report('E', 'ERROR', '22012')]],
    ['an error that has no code', 'execute', PAIR, [tagged('E', Buffer.from('SERROR\0Mtext\0\0'))]],
    ['an error without severity', 'execute', PAIR, [tagged('E', Buffer.from('C22012\0Mtext\0\0'))]],
    ['an error without an end', 'execute', PAIR, [tagged('E', Buffer.from('SERROR\0C22012\0'))]],
    ['an error that is cut', 'execute', PAIR, [tagged('E', Buffer.from('SERROR\0C22012'))]],
    ['readiness at once', 'execute', PAIR, [READY]],
    ['readiness before the end', 'execute', PAIR, [bound, row, READY], 1],
    ['readiness of a query without a result', 'query', undefined, [READY]],
    [
      'readiness inside a transaction',
      'execute',
      PAIR,
      [bound, complete('SELECT 0'), tagged('Z', Buffer.from('T'))],
    ],
    [
      'readiness inside a failed one',
      'execute',
      PAIR,
      [bound, complete('SELECT 0'), tagged('Z', Buffer.from('E'))],
    ],
    ['readiness that says nothing', 'execute', PAIR, [bound, complete('SELECT 0'), tagged('Z')]],
    ['two acceptances', 'execute', PAIR, [bound, bound]],
    ['a parse that nobody asked for', 'execute', PAIR, [parsed]],
    ['an acceptance with a body', 'execute', PAIR, [tagged('2', Buffer.from('x'))]],
    ['a description that nobody asked for', 'execute', PAIR, [bound, columns([25, 0], [25, 0])]],
    ['no data in place of rows', 'execute', PAIR, [bound, noData]],
    ['an empty statement with columns', 'execute', PAIR, [bound, tagged('I')]],
    ['a suspended portal', 'execute', PAIR, [bound, row, tagged('s')], 1],
    ['a copy', 'query', undefined, [tagged('H', hex('00', '0000'))]],
    ['authentication', 'execute', PAIR, [bound, tagged('R', Buffer.alloc(4))]],
    ['another key', 'execute', PAIR, [bound, tagged('K', Buffer.alloc(8))]],
    [
      'a statement without name in other formats',
      'execute',
      UNNAMED,
      [parsed, bound, columns([25, 0], [20, 0])],
    ],
    [
      'a description that is cut',
      'prepare',
      PAIR,
      [parsed, parameters, tagged('T', hex('0002', '6300'))],
    ],
    [
      'a description that is too long',
      'prepare',
      PAIR,
      [parsed, parameters, Buffer.concat([columns([25, 0], [25, 0]), hex('00')])],
    ],
    [
      'an endless name',
      'prepare',
      PAIR,
      [parsed, parameters, tagged('T', hex('0002', '63'.repeat(60)))],
    ],
    ['parameters that are cut', 'prepare', PAIR, [parsed, tagged('t', hex('0001', '0000'))]],
    ['a parameter status that is cut', 'execute', PAIR, [tagged('S', Buffer.from('name'))]],
    [
      'a parameter status with three texts',
      'execute',
      PAIR,
      [tagged('S', Buffer.from('a\0b\0c\0'))],
    ],
    ['a notification that is cut', 'execute', PAIR, [tagged('A', hex('00'))]],
    [
      'a message that is longer than the limit',
      'execute',
      PAIR,
      [bound, tagged('D', Buffer.alloc(100_000))],
    ],
  ])('%s', async (_, kind, statement, messages, rows = 0) => {
    const { outcomes, code } = play([[kind, statement]], [...messages, complete('SELECT 1'), READY])
    expect(code).toBe('PROTOCOL_VIOLATION')
    const outcome = await outcomes[0]
    expect(outcome).toMatchObject({ settled: 1, sent: true, error: { message: 'the end' } })
    expect(outcome?.rows).toHaveLength(rows)
  })

  test.each<[string, Buffer[]]>([
    ['other types of columns', [parameters, columns([25, 0], [20, 0])]],
    ['other columns', [parameters, columns([25, 0])]],
    ['no columns', [parameters, noData]],
    ['other types of parameters', [tagged('t', hex('0001', '00000014'))]],
    ['other parameters', [tagged('t', hex('0000'))]],
  ])('a statement with %s', async (_, messages) => {
    const { outcomes, code } = play([['prepare', PAIR]], [parsed, ...messages, READY])
    expect(code).toBe('STATEMENT_MISMATCH')
    expect(await outcomes[0]).toMatchObject({ settled: 1, error: { message: 'the end' } })
  })

  test('an answer to a call that has not been sent', async () => {
    const answer = [bound, complete('SELECT 0'), READY]
    const { outcomes, code } = play(
      [
        ['execute', PAIR],
        ['execute', PAIR],
      ],
      [...answer, ...answer],
      1,
    )
    expect(code).toBe('PROTOCOL_VIOLATION')
    expect(await outcomes[0]).toMatchObject({ count: 0, settled: 1 })
    expect(await outcomes[1]).toMatchObject({
      sent: false,
      settled: 1,
      error: { message: 'the end' },
    })
  })

  test('an answer, or an error, that nobody waits for', () => {
    expect(play([], [READY]).code).toBe('PROTOCOL_VIOLATION')
    expect(play([], [report('E', 'ERROR', '22012')]).code).toBe('PROTOCOL_VIOLATION')
    expect(play([], [report('E', 'FATAL', '57P01')]).code).toBe('CONNECTION_CLOSED')
  })
})

describe('a reader', () => {
  test('hands out the same messages, at whatever bytes they are cut', () => {
    const messages = [bound, tagged('D', Buffer.alloc(9000, 'x')), row, READY, complete('SELECT 1')]
    const bytes = Buffer.concat(messages)
    for (const size of [1, 2, 3, 4, 5, 6, 7, 1000, 4096, 9000]) {
      const taken: Buffer[] = []
      const reader = new MessageReader(LIMITS.messageBytesMax, (_, from, start, end) =>
        taken.push(Buffer.from(from.subarray(start - 5, end))),
      )
      for (let at = 0; at < bytes.length; at += size) {
        // Always from the same memory, as a socket does it.
        const chunk = Buffer.alloc(size)
        const length = bytes.copy(chunk, 0, at, at + size)
        reader.feed(chunk, length)
        chunk.fill(0)
      }
      expect(Buffer.concat(taken).equals(bytes)).toBe(true)
      expect(taken).toHaveLength(messages.length)
    }
  })

  test('hands out nothing more once it is stopped', () => {
    let taken = 0
    const reader = new MessageReader(LIMITS.messageBytesMax, () => {
      taken += 1
      if (taken === 2) reader.stop()
    })
    const bytes = Buffer.concat([bound, bound, bound, bound])
    reader.feed(bytes, bytes.length - 1)
    reader.feed(bytes, bytes.length)
    expect(taken).toBe(2)
  })
})
