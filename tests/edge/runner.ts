// Sends one case and says what is wrong with what came back.
import { isDeepStrictEqual } from 'node:util'
import { PROBLEMS } from '../../src/server/http/problem.ts'
import type { Answer } from './answers.ts'
import type { Case, Outcome } from './case.ts'
import { RawConnection, type Unanswered } from './connection.ts'
import { fill, type Values } from './values.ts'

/** Longer than the deadline of a request, which a case may have to wait for. */
const ANSWER_MS_MAX = 4000
/** How long a request must stay unanswered to count as `none`. */
const SILENCE_MS = 300

/** What came back, and what was wrong with it. */
export interface Report {
  answers: { method: string; target: string; status: number }[]
  problems: string[]
}

export interface Manner {
  port: number
  values: Values
  /** Where the bytes are cut, as shares of their length. */
  cuts: readonly number[]
  /** Whether uWebSockets.js itself may refuse the request. */
  pages: boolean
}

export async function runCase(given: Case, manner: Manner): Promise<Report> {
  const report: Report = { answers: [], problems: [] }
  const bytes = fill(given.bytes, manner.values)
  const connection = new RawConnection(manner.port)
  const cuts = manner.cuts.map((share) => Math.floor(share * bytes.length))
  const [method = '', target = ''] = given.bytes.split(' ', 2)
  try {
    await connection.writeInPieces(bytes, cuts)
    const expected = [{ method, target, expect: given.expect }, ...(given.following ?? [])]
    let last: Answer | Unanswered = 'silent'
    for (const [index, each] of expected.entries()) {
      last = await readFinal(connection, each.method, mayBeNone(each.expect))
      checkOutcome(last, each.expect, manner, report.problems)
      if (typeof last === 'string') break
      report.answers.push({ method: each.method, target, status: last.status })
      if (index === 0) checkFirst(given, last, method, report.problems)
    }
    if (typeof last !== 'string') await checkWhatFollows(connection, given, last, report)
  } catch (error) {
    report.problems.push(String(error))
  }
  connection.destroy()
  return report
}

/** The next answer that is not an interim one (RFC 9110, section 15.2). */
async function readFinal(
  connection: RawConnection,
  method: string,
  hurried: boolean,
): Promise<Answer | Unanswered> {
  for (;;) {
    const answer = await connection.answer(method, hurried ? SILENCE_MS : ANSWER_MS_MAX)
    if (typeof answer === 'string' || answer.status >= 200) return answer
  }
}

function mayBeNone(expect: Outcome | readonly Outcome[]): boolean {
  return [expect].flat().includes('none')
}

function checkOutcome(
  answer: Answer | Unanswered,
  expect: Outcome | readonly Outcome[],
  manner: Manner,
  problems: string[],
): void {
  const outcomes = [expect].flat()
  const seen = typeof answer === 'string' ? 'none' : answer.status
  // When the parser refuses the first piece, what we still send resets the connection, and its page with it.
  const reset = answer === 'closed' && manner.cuts.length > 0 && manner.pages
  if (!outcomes.includes(seen) && !reset) problems.push(`${seen} instead of ${outcomes.join()}`)
  if (typeof answer === 'string') return
  if (answer.page && !manner.pages) problems.push('a page instead of JSON')
}

function checkFirst(given: Case, answer: Answer, method: string, problems: string[]): void {
  if (answer.page) return
  for (const [name, pattern] of Object.entries(given.headers ?? {})) {
    const value = answer.headers.get(name)
    const matches = pattern === null ? value === undefined : pattern.test(value ?? '')
    if (!matches) problems.push(`${name}: ${value ?? 'absent'}`)
  }
  const parsed = method === 'HEAD' ? undefined : checkBody(answer, problems)
  if (given.body && !contains(parsed, given.body))
    problems.push(`body ${answer.body.slice(0, 200)}`)
  const errors = (parsed as { errors?: unknown[] } | undefined)?.errors ?? []
  if (errors.length > (given.errorsMax ?? errors.length)) problems.push(`${errors.length} errors`)
}

/** Every body is JSON, and every failure a problem with a known code. Returns what was parsed. */
export function checkBody(answer: Answer, problems: string[]): unknown {
  if (answer.body === '' || answer.headers.has('content-encoding')) return undefined
  let parsed: Record<string, unknown>
  try {
    parsed = JSON.parse(Buffer.from(answer.body, 'latin1').toString())
  } catch {
    problems.push(`not JSON: ${answer.body.slice(0, 200)}`)
    return undefined
  }
  if (answer.status < 400) return parsed
  const { error, code, request_id: id } = parsed
  const known: Record<string, { status: number }> = PROBLEMS
  if (known[String(code)]?.status !== answer.status) problems.push(`code ${String(code)}`)
  if (typeof error !== 'string' || error === '') problems.push('no error')
  if (id !== answer.headers.get('x-request-id')) problems.push(`request_id ${String(id)}`)
  return parsed
}

function contains(value: unknown, part: unknown): boolean {
  if (typeof part !== 'object' || part === null) return isDeepStrictEqual(value, part)
  if (typeof value !== 'object' || value === null) return false
  if (Array.isArray(part) && (!Array.isArray(value) || value.length !== part.length)) return false
  return Object.entries(part).every(([key, wanted]) =>
    contains((value as Record<string, unknown>)[key], wanted),
  )
}

/** A connection that is kept answers the next request and nothing before it; one that is not ends without another byte. */
async function checkWhatFollows(
  connection: RawConnection,
  given: Case,
  last: Answer,
  { problems }: Report,
): Promise<void> {
  const closes = last.closes || last.page
  if (given.closes && !closes) problems.push('the connection is kept')
  if (closes) {
    if (!(await connection.endsQuietly(ANSWER_MS_MAX)))
      problems.push(`not ended: ${connection.rest}`)
    return
  }
  if (given.closes || given.unfinished) return
  const id = `probe-${Math.random().toString(36).slice(2)}`
  connection.write(
    Buffer.from(`GET /health HTTP/1.1\r\nHost: service.example\r\nX-Request-Id: ${id}\r\n\r\n`),
  )
  const probe = await connection.answer('GET', ANSWER_MS_MAX)
  const good = typeof probe !== 'string' && probe.headers.get('x-request-id') === id
  if (!good)
    problems.push(`the next request gets ${typeof probe === 'string' ? probe : probe.body}`)
}
