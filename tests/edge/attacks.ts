// Requests that two readers could cut differently. Each hides a write: a task called "smuggled …", which must never exist.
import { chunk } from './case.ts'

const LINE = '\r\n'

interface Attack {
  name: string
  /** The lines between `Host` and the empty one, and all that follows them. */
  lines: readonly string[]
  rest: string
  /** Instead of `POST /api/v1/tasks HTTP/1.1`. */
  first?: string
  /** Instead of the ends of lines in the head. */
  lineEnd?: string
}

/** A write as it would be sent openly. */
export function hiddenWrite(token: string, title: string): string {
  const body = JSON.stringify({ title })
  const lines = ['POST /api/v1/tasks HTTP/1.1', 'Host: service.example', ...personal(token)]
  return [...lines, `Content-Length: ${body.length}`, '', body].join(LINE)
}

/** The bytes of an attack of an account. */
export function attackBytes(attack: Attack, token: string): Buffer {
  const lineEnd = attack.lineEnd ?? LINE
  const first = attack.first ?? 'POST /api/v1/tasks HTTP/1.1'
  const head = [first, 'Host: service.example', ...personal(token), ...attack.lines, '', '']
  return Buffer.from(head.join(lineEnd) + attack.rest, 'latin1')
}

export function attacksWith(hidden: string): readonly Attack[] {
  const inChunks = `${chunk(hidden)}0\r\n\r\n`
  const behindEnd = `0\r\n\r\n${hidden}`
  const whole = `Content-Length: ${behindEnd.length}`
  const te = (value: string) => `Transfer-Encoding: ${value}`
  const coded = (name: string, line: string): Attack[] => [
    { name: `CL.TE, ${name}`, lines: [whole, line], rest: behindEnd },
    { name: `TE.CL, ${name}`, lines: ['Content-Length: 4', line], rest: inChunks },
    { name: `TE alone, ${name}`, lines: [line], rest: behindEnd },
  ]
  return [
    ...coded('plainly', te('chunked')),
    ...coded('in capitals', te('CHUNKED')),
    ...coded('another word', te('xchunked')),
    ...coded('in a list', te('identity, chunked')),
    ...coded('twice', te('chunked, chunked')),
    ...coded('quoted', te('"chunked"')),
    ...coded('behind a tab', te('\tchunked')),
    ...coded('behind a vertical tab', te('\x0bchunked')),
    ...coded('before a form feed', te('chunked\x0c')),
    ...coded('behind a NUL', te('\0chunked')),
    ...coded('behind a line feed', te('\nchunked')),
    ...coded('continued', `Transfer-Encoding:\r\n chunked`),
    ...coded('a space before the colon', 'Transfer-Encoding : chunked'),
    ...coded('a space before the name', ' Transfer-Encoding: chunked'),
    ...coded('an underscore', 'Transfer_Encoding: chunked'),
    ...coded('behind a line feed of another header', 'X-Other: a\nTransfer-Encoding: chunked'),
    ...coded(
      'behind a carriage return of another header',
      'X-Other: a\rTransfer-Encoding: chunked',
    ),
    ...coded('a letter that folds', 'Transfer-Encod\xc4\xb1ng: chunked'),
    { name: 'TE.TE', lines: [te('chunked'), te('x'), whole], rest: behindEnd },
    { name: 'TE.TE, the other way', lines: [te('x'), te('chunked'), whole], rest: behindEnd },
    { name: 'two lengths', lines: ['Content-Length: 0', whole], rest: behindEnd },
    { name: 'two lengths, the other way', lines: [whole, 'Content-Length: 0'], rest: hidden },
    { name: 'two lengths in a list', lines: [`Content-Length: 0, ${hidden.length}`], rest: hidden },
    { name: 'an empty length', lines: ['Content-Length:'], rest: hidden },
    { name: 'an empty length, then one', lines: ['Content-Length:', whole], rest: behindEnd },
    { name: 'a signed length', lines: [`Content-Length: +${hidden.length}`], rest: hidden },
    { name: 'a length of zeros', lines: [`Content-Length: 000${hidden.length}`], rest: hidden },
    { name: 'a length with a space', lines: [`Content-Length: 0 ${hidden.length}`], rest: hidden },
    {
      name: 'a length over 64 bits',
      lines: ['Content-Length: 18446744073709551616'],
      rest: hidden,
    },
    {
      name: 'a length in another script',
      lines: ['Content-Length: \xd9\xa1\xd9\xa8'],
      rest: hidden,
    },
    {
      name: 'a length without a name',
      lines: [`: ${hidden.length}`, 'Content-Length: 0'],
      rest: hidden,
    },
    { name: 'a header without a name', lines: [': x', whole], rest: behindEnd },
    {
      name: 'a length named by Connection',
      lines: ['Connection: Content-Length', whole],
      rest: behindEnd,
    },
    { name: 'a chunk extension', lines: [te('chunked')], rest: `2;a=b\r\n{}\r\n${behindEnd}` },
    {
      name: 'a chunk extension with a line feed',
      lines: [te('chunked')],
      rest: `2;\n${hidden.length.toString(16)}\r\n{}\r\n${behindEnd}`,
    },
    {
      name: 'a chunk extension without a name',
      lines: [te('chunked')],
      rest: `5;\r\nAAAA0\r\n${behindEnd}`,
    },
    {
      name: 'a chunk size over 64 bits',
      lines: [te('chunked')],
      rest: `10000000000000002\r\n{}\r\n${behindEnd}`,
    },
    { name: 'a chunk without its line end', lines: [te('chunked')], rest: `2\r\n{}${behindEnd}` },
    {
      name: 'a chunk with another line end',
      lines: [te('chunked')],
      rest: `2\r\n{}xx${behindEnd}`,
    },
    {
      name: 'a chunk size in hexadecimal of C',
      lines: [te('chunked')],
      rest: `0x2\r\n{}\r\n${behindEnd}`,
    },
    {
      name: 'a trailer',
      lines: [te('chunked')],
      rest: `0\r\nContent-Length: ${hidden.length}\r\n\r\n${hidden}`,
    },
    { name: 'line feeds alone', lines: ['Content-Length: 0'], rest: hidden, lineEnd: '\n' },
    { name: 'carriage returns alone', lines: ['Content-Length: 0'], rest: hidden, lineEnd: '\r' },
    { name: 'a NUL in a header', lines: ['X-Other: a\0', 'Content-Length: 0'], rest: hidden },
    { name: 'an end of the head in a header', lines: ['X-Other: a\n\n', whole], rest: behindEnd },
    {
      name: 'a body of a GET',
      first: 'GET /health HTTP/1.1',
      lines: [`Content-Length: ${hidden.length}`],
      rest: hidden,
    },
    {
      name: 'a body of a HEAD',
      first: 'HEAD /health HTTP/1.1',
      lines: [`Content-Length: ${hidden.length}`],
      rest: hidden,
    },
    {
      name: 'chunks of a GET',
      first: 'GET /health HTTP/1.1',
      lines: [te('chunked')],
      rest: inChunks,
    },
    {
      name: 'both framings of a GET',
      first: 'GET /health HTTP/1.1',
      lines: [whole, te('chunked')],
      rest: behindEnd,
    },
    {
      name: 'HTTP/1.0 with chunks',
      first: 'POST /api/v1/tasks HTTP/1.0',
      lines: [te('chunked'), 'Connection: keep-alive'],
      rest: behindEnd,
    },
    {
      name: 'absolute-form',
      first: 'GET http://other.example/health HTTP/1.1',
      lines: [`Content-Length: ${hidden.length}`],
      rest: hidden,
    },
    {
      name: 'a space in the target',
      first: 'GET /health HTTP/1.1 HTTP/1.1',
      lines: [`Content-Length: ${hidden.length}`],
      rest: hidden,
    },
    {
      name: 'an upgrade',
      first: 'GET /health HTTP/1.1',
      lines: [
        'Connection: Upgrade',
        'Upgrade: websocket',
        'Sec-WebSocket-Version: 77',
        `Content-Length: ${hidden.length}`,
      ],
      rest: hidden,
    },
    {
      name: 'an expectation',
      lines: ['Expect: 100-continue', 'Content-Length: 0', whole],
      rest: behindEnd,
    },
  ]
}

function personal(token: string): string[] {
  return [`Authorization: Bearer ${token}`, 'Content-Type: application/json']
}
