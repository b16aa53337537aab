// Where a body ends: RFC 9112, sections 6 and 7. Whatever is unclear must end the connection: what follows may be anybody's.
import { type Case, chunk, createWith, plain, send } from '../case.ts'

const TASK = '{"title":"framed"}'
const LENGTH = `Content-Length: ${TASK.length}`
const CHUNKED = 'Transfer-Encoding: chunked'
const WHOLE = `${chunk(TASK)}0\r\n\r\n`
/** A write that must never happen: whoever sends it has no request to send. */
const SMUGGLED = send('POST', '/api/v1/tasks', '{"title":"smuggled"}')
const length = (value: string) => createWith([`Content-Length: ${value}`], TASK)
const coded = (value: string) => createWith([`Transfer-Encoding: ${value}`], WHOLE)
const chunks = (body: string) => createWith([CHUNKED], body)

const REFUSED = { expect: [400, 'none'], closes: true } as const
const UNCODED = { expect: [400, 411, 415, 501, 'none'], closes: true } as const

const LENGTHS: readonly Case[] = [
  { name: 'a length', why: 'RFC 9112, 6.2', bytes: length('18'), expect: 201 },
  { name: 'a length with zeros', why: 'RFC 9110, 8.6', bytes: length('0018'), expect: [201, 400] },
  { name: 'a length with a space behind', why: 'RFC 9112, 5', bytes: length('18 '), expect: 201 },
  { name: 'no length', why: 'RFC 9112, 6.3', bytes: createWith([], ''), expect: [400, 411] },
  { name: 'a length of 0', why: 'RFC 8259, 2: nothing is not JSON', bytes: createWith(['Content-Length: 0'], ''), expect: 400 },
  { name: 'an empty length', why: 'RFC 9110, 8.6', bytes: createWith(['Content-Length:'], ''), ...REFUSED, expect: 400 },
  { name: 'an empty length before a request', why: 'RFC 9110, 8.6', bytes: createWith(['Content-Length:'], SMUGGLED), ...REFUSED },
  { name: 'an empty length on a GET', why: 'RFC 9110, 8.6', bytes: plain('GET', '/health', 'Content-Length:') + SMUGGLED, ...REFUSED },
  { name: 'a signed length', why: 'RFC 9110, 8.6', bytes: length('+18'), ...REFUSED },
  { name: 'a negative length', why: 'RFC 9110, 8.6', bytes: length('-18'), ...REFUSED },
  { name: 'a hexadecimal length', why: 'RFC 9110, 8.6', bytes: length('0x12'), ...REFUSED },
  { name: 'an exponent', why: 'RFC 9110, 8.6', bytes: length('18e0'), ...REFUSED },
  { name: 'a decimal point', why: 'RFC 9110, 8.6', bytes: length('18.0'), ...REFUSED },
  { name: 'a length in words', why: 'RFC 9110, 8.6', bytes: length('eighteen'), ...REFUSED },
  { name: 'a space in a length', why: 'RFC 9110, 8.6', bytes: length('1 8'), ...REFUSED },
  { name: 'a list of equal lengths', why: 'RFC 9110, 8.6: may be refused', bytes: length('18, 18'), ...REFUSED },
  { name: 'a list of lengths', why: 'RFC 9112, 6.3', bytes: length('18, 0'), ...REFUSED },
  { name: 'digits of another script', why: 'RFC 9110, 8.6', bytes: length('\xd9\xa1\xd9\xa8'), ...REFUSED },
  { name: 'a length over 64 bits', why: 'RFC 9110, 8.6', bytes: length('18446744073709551634'), expect: [400, 413, 'none'], closes: true },
  { name: 'a length over 53 bits', why: 'RFC 9110, 8.6', bytes: length('9007199254740993'), expect: [400, 413], closes: true },
  { name: 'two equal lengths', why: 'RFC 9112, 6.3', bytes: createWith([LENGTH, LENGTH], TASK), ...REFUSED, expect: 400 },
  { name: 'two lengths', why: 'RFC 9112, 6.3', bytes: createWith(['Content-Length: 0', LENGTH], TASK), ...REFUSED, expect: 400 },
  { name: 'two lengths around a request', why: 'RFC 9112, 6.3', bytes: createWith([LENGTH, `Content-Length: ${TASK.length + SMUGGLED.length}`], TASK + SMUGGLED), ...REFUSED },
  { name: 'two lengths of a GET', why: 'RFC 9112, 6.3', bytes: plain('GET', '/health', 'Content-Length: 0', `Content-Length: ${SMUGGLED.length}`) + SMUGGLED, ...REFUSED },
  { name: 'an empty length, then another', why: 'RFC 9112, 6.3', bytes: createWith(['Content-Length:', LENGTH], TASK), ...REFUSED },
  { name: 'a body of a GET', why: 'RFC 9110, 9.3.1', bytes: `${plain('GET', '/health', `Content-Length: ${SMUGGLED.length}`)}${SMUGGLED}`, expect: 200 },
  { name: 'a body of a HEAD', why: 'RFC 9110, 9.3.2', bytes: `${plain('HEAD', '/health', `Content-Length: ${SMUGGLED.length}`)}${SMUGGLED}`, expect: 200 },
  { name: 'a body of an unknown path', why: 'RFC 9112, 6', bytes: `${plain('POST', '/nope', `Content-Length: ${SMUGGLED.length}`)}${SMUGGLED}`, expect: 404 },
  { name: 'a body of a refused method', why: 'RFC 9112, 6', bytes: `${plain('PUT', '/health', `Content-Length: ${SMUGGLED.length}`)}${SMUGGLED}`, expect: 405 },
  { name: 'a body of a client without a token', why: 'RFC 9112, 6', bytes: `${plain('POST', '/api/v1/tasks', `Content-Length: ${SMUGGLED.length}`)}${SMUGGLED}`, expect: 401 },
  { name: 'a body that stops half-way', why: 'RFC 9110, 15.5.9', bytes: length('50'), expect: 408, closes: true },
  { name: 'a body longer than its length', why: 'RFC 9112, 6.3: the rest is another request', bytes: `${createWith([LENGTH], TASK)}xx`, expect: [201, 'none'], unfinished: true, writesMax: 1 },
]

const CODINGS: readonly Case[] = [
  { name: 'chunks', why: 'RFC 9112, 7.1', bytes: coded('chunked'), expect: 201, closes: true },
  { name: 'CHUNKED', why: 'RFC 9112, 7: codings have no case', bytes: coded('CHUNKED'), expect: 201, closes: true },
  { name: 'chunks, a tab before the word', why: 'RFC 9112, 5', bytes: coded('\tchunked'), expect: 201, closes: true },
  { name: 'gzip, chunked', why: 'RFC 9112, 6.1', bytes: coded('gzip, chunked'), ...UNCODED },
  { name: 'chunked, gzip', why: 'RFC 9112, 6.3', bytes: coded('chunked, gzip'), ...UNCODED },
  { name: 'chunked, chunked', why: 'RFC 9112, 7.1', bytes: coded('chunked, chunked'), ...UNCODED },
  { name: 'chunked, identity', why: 'RFC 9112, 6.3', bytes: coded('chunked, identity'), ...UNCODED },
  { name: 'identity', why: 'RFC 9112, 6.1', bytes: coded('identity'), ...UNCODED },
  { name: 'an empty coding', why: 'RFC 9112, 6.1', bytes: coded(''), ...UNCODED },
  { name: 'xchunked', why: 'RFC 9112, 6.1', bytes: coded('xchunked'), ...UNCODED },
  { name: 'chunked with a parameter', why: 'RFC 9112, 7', bytes: coded('chunked;a=b'), ...UNCODED },
  { name: '"chunked"', why: 'RFC 9112, 6.1', bytes: coded('"chunked"'), ...UNCODED },
  { name: 'chunked with a vertical tab', why: 'RFC 9112, 5', bytes: coded('\x0bchunked'), ...UNCODED },
  { name: 'chunked with a line feed', why: 'RFC 9112, 2.2', bytes: coded('\nchunked'), ...UNCODED },
  { name: 'two lines of chunked', why: 'RFC 9112, 7.1', bytes: createWith([CHUNKED, CHUNKED], WHOLE), ...UNCODED },
  { name: 'chunked and identity in two lines', why: 'RFC 9112, 6.3', bytes: createWith([CHUNKED, 'Transfer-Encoding: identity'], WHOLE), ...UNCODED },
  { name: 'a space before the colon', why: 'RFC 9112, 5.1', bytes: createWith(['Transfer-Encoding : chunked'], WHOLE), ...UNCODED },
  { name: 'a length before chunks', why: 'RFC 9112, 6.3', bytes: createWith([LENGTH, CHUNKED], WHOLE), ...REFUSED, expect: 400 },
  { name: 'a length behind chunks', why: 'RFC 9112, 6.3', bytes: createWith([CHUNKED, LENGTH], WHOLE), ...REFUSED, expect: 400 },
  { name: 'CL.TE', why: 'RFC 9112, 6.1', bytes: createWith([`Content-Length: ${5 + SMUGGLED.length}`, CHUNKED], `0\r\n\r\n${SMUGGLED}`), ...REFUSED, expect: 400 },
  { name: 'TE.CL', why: 'RFC 9112, 6.1', bytes: createWith(['Content-Length: 4', CHUNKED], `${chunk(SMUGGLED)}0\r\n\r\n`), ...REFUSED, expect: 400 },
  { name: 'TE.TE', why: 'RFC 9112, 6.3', bytes: createWith([CHUNKED, 'Transfer-Encoding: x', 'Content-Length: 4'], `${chunk(SMUGGLED)}0\r\n\r\n`), ...REFUSED },
  { name: 'both framings on a GET', why: 'RFC 9112, 6.1', bytes: `${plain('GET', '/health', 'Content-Length: 5', CHUNKED)}0\r\n\r\n${SMUGGLED}`, ...REFUSED },
  { name: 'both framings on an unknown path', why: 'RFC 9112, 6.1', bytes: `${plain('GET', '/nope', 'Content-Length: 5', CHUNKED)}0\r\n\r\n${SMUGGLED}`, expect: [400, 404, 'none'], closes: true },
  { name: 'chunks of a GET', why: 'RFC 9110, 9.3.1', bytes: `${plain('GET', '/health', CHUNKED)}0\r\n\r\n`, expect: [200, 400], closes: true },
  { name: 'a request behind chunks', why: 'RFC 9112, 9.6: no connection is left for it', bytes: chunks(WHOLE) + SMUGGLED, expect: 201, closes: true },
]

const CHUNKS: readonly Case[] = [
  { name: 'several chunks', why: 'RFC 9112, 7.1', bytes: chunks(`${chunk('{"title":')}${chunk('"two"}')}0\r\n\r\n`), expect: 201, closes: true },
  { name: 'a chunk for each byte', why: 'RFC 9112, 7.1', bytes: chunks(`${[...TASK].map((byte) => chunk(byte)).join('')}0\r\n\r\n`), expect: 201, closes: true },
  { name: 'a size in small and large letters', why: 'RFC 9112, 7.1', bytes: chunks(`${chunk(TASK)}a\r\n${' '.repeat(10)}\r\nA\r\n${' '.repeat(10)}\r\n0\r\n\r\n`), expect: 201, closes: true },
  { name: 'a size with zeros', why: 'RFC 9112, 7.1', bytes: chunks(`0012\r\n${TASK}\r\n000\r\n\r\n`), expect: [201, 400], closes: true },
  { name: 'no chunk but the last', why: 'RFC 8259, 2', bytes: chunks('0\r\n\r\n'), expect: 400, closes: true },
  { name: 'an extension', why: 'RFC 9112, 7.1.1', bytes: chunks(`${chunk(TASK, ';a=b')}0\r\n\r\n`), expect: [201, 400], closes: true },
  { name: 'a quoted extension', why: 'RFC 9112, 7.1.1', bytes: chunks(`${chunk(TASK, ';a="b;c"')}0;d\r\n\r\n`), expect: [201, 400], closes: true },
  { name: 'an extension with a line feed', why: 'RFC 9112, 7.1.1', bytes: chunks(`${chunk(TASK, ';a\nb')}0\r\n\r\n`), ...REFUSED },
  { name: 'an extension of 20 KiB', why: 'RFC 9112, 7.1.1: bounded', bytes: chunks(`${chunk(TASK, `;${'a'.repeat(20_000)}`)}0\r\n\r\n`), expect: [201, 400, 413, 431, 'none'], closes: true },
  { name: 'a trailer', why: 'RFC 9112, 7.1.2', bytes: chunks(`${chunk(TASK)}0\r\nX-Other: a\r\n\r\n`), expect: [201, 400], closes: true },
  { name: 'a trailer that would be a length', why: 'RFC 9110, 6.5.1', bytes: chunks(`${chunk(TASK)}0\r\nContent-Length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`), expect: [201, 400], closes: true },
  { name: 'a size with 0x', why: 'RFC 9112, 7.1', bytes: chunks(`0x12\r\n${TASK}\r\n0\r\n\r\n`), ...REFUSED },
  { name: 'a signed size', why: 'RFC 9112, 7.1', bytes: chunks(`+12\r\n${TASK}\r\n0\r\n\r\n`), ...REFUSED },
  { name: 'a negative size', why: 'RFC 9112, 7.1', bytes: chunks(`-12\r\n${TASK}\r\n0\r\n\r\n`), ...REFUSED },
  { name: 'a size behind a space', why: 'RFC 9112, 7.1', bytes: chunks(` 12\r\n${TASK}\r\n0\r\n\r\n`), ...REFUSED },
  { name: 'a size before a space', why: 'RFC 9112, 7.1.1: whitespace is bad', bytes: chunks(`12 \r\n${TASK}\r\n0\r\n\r\n`), expect: [201, 400, 'none'], closes: true },
  { name: 'a size that is a letter', why: 'RFC 9112, 7.1', bytes: chunks(`z\r\n${TASK}\r\n0\r\n\r\n`), ...REFUSED },
  { name: 'no size', why: 'RFC 9112, 7.1', bytes: chunks(`\r\n${TASK}\r\n0\r\n\r\n`), ...REFUSED },
  { name: 'a size that is too small', why: 'RFC 9112, 7.1', bytes: chunks(`11\r\n${TASK}\r\n0\r\n\r\n`), ...REFUSED },
  { name: 'a size that is too large', why: 'RFC 9112, 7.1', bytes: chunks(`13\r\n${TASK}\r\n0\r\n\r\n`), expect: [400, 408, 'none'], closes: true },
  { name: 'a size over 64 bits', why: 'RFC 9112, 7.1', bytes: chunks(`10000000000000012\r\n${TASK}\r\n0\r\n\r\n`), expect: [400, 413, 'none'], closes: true },
  { name: 'a size of 2 GiB', why: 'RFC 9112, 7.1', bytes: chunks(`7fffffff\r\n${TASK}`), expect: [400, 408, 413, 'none'], closes: true },
  { name: 'no line end behind a chunk', why: 'RFC 9112, 7.1', bytes: chunks(`12\r\n${TASK}0\r\n\r\n`), ...REFUSED },
  { name: 'other bytes than a line end behind a chunk', why: 'RFC 9112, 7.1', bytes: chunks(`12\r\n${TASK}xx0\r\n\r\n`), ...REFUSED },
  { name: 'chunks with line feeds alone', why: 'RFC 9112, 7.1', bytes: chunks(`12\n${TASK}\n0\n\n`), ...REFUSED },
  { name: 'a NUL in a size', why: 'RFC 9112, 7.1', bytes: chunks(`12\0\r\n${TASK}\r\n0\r\n\r\n`), ...REFUSED },
  { name: 'chunks that never end', why: 'RFC 9110, 15.5.9', bytes: chunks(chunk(TASK)), expect: 408, closes: true },
  { name: 'chunks over the limit of a body', why: 'RFC 9110, 15.5.14', bytes: chunks(`${chunk(`${TASK}${' '.repeat(70_000)}`)}0\r\n\r\n`), expect: 413, closes: true },
]

export const framing: readonly Case[] = [...LENGTHS, ...CODINGS, ...CHUNKS]
