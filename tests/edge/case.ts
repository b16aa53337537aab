// One written case of the corpus, and the words to write it in.

/** A status, or `none`: the connection ends or stays silent, and nothing was done. */
export type Outcome = number | 'none'

export interface Case {
  name: string
  /** Where it is written that it must be so. */
  why: string
  /** What is sent, one character a byte. `{token}`, `{task}` and so on stand for values of the run: see values.ts. */
  bytes: string
  /** How the first request is answered; several when the service may choose. */
  expect: Outcome | readonly Outcome[]
  /** The requests behind the first, when their answers are wanted. */
  following?: readonly { method: string; expect: Outcome | readonly Outcome[] }[]
  /** True when the connection must not be used again. */
  closes?: true
  /** True when the server may still wait for more of the request, so that no other can follow on the connection. */
  unfinished?: true
  /** The most tasks that may be written when there is no answer; none unless this says so. */
  writesMax?: number
  /** What the headers of the first answer must match; `null` for those that it must not have. */
  headers?: Readonly<Record<string, RegExp | null>>
  /** What the JSON of the first answer must contain. */
  body?: object
  /** The most fields that an error may list. */
  errorsMax?: number
}

const HOST = 'Host: service.example'
const TOKEN = 'Authorization: Bearer {token}'
export const JSON_TYPE = 'Content-Type: application/json'

export const LOGIN = '/api/v1/auth/login'
export const REGISTER = '/api/v1/auth/register'
export const TASKS = '/api/v1/tasks'
export const TASK = '/api/v1/tasks/{task}'

/** A request head as it is, with its empty line. */
export function head(...lines: string[]): string {
  return `${lines.join('\r\n')}\r\n\r\n`
}

/** A request without a body and without a token. */
export function plain(method: string, target: string, ...lines: string[]): string {
  return head(`${method} ${target} HTTP/1.1`, HOST, ...lines)
}

/** A request without a body, of the case's account. */
export function own(method: string, target: string, ...lines: string[]): string {
  return plain(method, target, TOKEN, ...lines)
}

/** JSON with its length, of the case's account; `lines` come instead of the media type when there are any. */
export function send(method: string, target: string, body: string, ...lines: string[]): string {
  return sendAs([TOKEN], method, target, body, lines)
}

/** JSON with its length, without a token. */
export function sendOpen(method: string, target: string, body: string, ...lines: string[]): string {
  return sendAs([], method, target, body, lines)
}

/** A task of the case's account; framing is up to `lines`. */
export function createWith(lines: readonly string[], body: string): string {
  return plain('POST', TASKS, TOKEN, JSON_TYPE, ...lines) + body
}

/** One chunk (RFC 9112, section 7.1). */
export function chunk(data: string, extension = ''): string {
  return `${data.length.toString(16)}${extension}\r\n${data}\r\n`
}

/** UTF-8 as one character a byte. */
export function utf8(text: string): string {
  return Buffer.from(text).toString('latin1')
}

function sendAs(
  credentials: readonly string[],
  method: string,
  target: string,
  body: string,
  lines: readonly string[],
): string {
  const types = lines.length > 0 ? lines : [JSON_TYPE]
  const length = `Content-Length: ${body.length}`
  return plain(method, target, ...credentials, ...types, length) + body
}
