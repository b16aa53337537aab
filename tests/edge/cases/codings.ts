// Transfer-Encoding: RFC 9112, section 6.1. Whatever is unclear must end the connection: what follows may be anybody's.
import { type Case, chunk, createWith, plain, send } from '../case.ts'

const TASK = '{"title":"framed"}'
const LENGTH = `Content-Length: ${TASK.length}`
const CHUNKED = 'Transfer-Encoding: chunked'
const WHOLE = `${chunk(TASK)}0\r\n\r\n`
/** A write that must never happen: whoever sends it has no request to send. */
const SMUGGLED = send('POST', '/api/v1/tasks', '{"title":"smuggled"}')
const coded = (value: string) => createWith([`Transfer-Encoding: ${value}`], WHOLE)
const REFUSED = { expect: [400, 'none'], closes: true } as const
const UNCODED = { expect: [400, 411, 415, 501, 'none'], closes: true } as const

export const codings: readonly Case[] = [
  { name: 'chunks', why: 'RFC 9112, 7.1', bytes: coded('chunked'), expect: 201, closes: true },
  {
    name: 'CHUNKED',
    why: 'RFC 9112, 7: codings have no case',
    bytes: coded('CHUNKED'),
    expect: 201,
    closes: true,
  },
  {
    name: 'chunks, a tab before the word',
    why: 'RFC 9112, 5',
    bytes: coded('\tchunked'),
    expect: 201,
    closes: true,
  },
  { name: 'gzip, chunked', why: 'RFC 9112, 6.1', bytes: coded('gzip, chunked'), ...UNCODED },
  { name: 'chunked, gzip', why: 'RFC 9112, 6.3', bytes: coded('chunked, gzip'), ...UNCODED },
  { name: 'chunked, chunked', why: 'RFC 9112, 7.1', bytes: coded('chunked, chunked'), ...UNCODED },
  {
    name: 'chunked, identity',
    why: 'RFC 9112, 6.3',
    bytes: coded('chunked, identity'),
    ...UNCODED,
  },
  { name: 'identity', why: 'RFC 9112, 6.1', bytes: coded('identity'), ...UNCODED },
  { name: 'an empty coding', why: 'RFC 9112, 6.1', bytes: coded(''), ...UNCODED },
  { name: 'xchunked', why: 'RFC 9112, 6.1', bytes: coded('xchunked'), ...UNCODED },
  { name: 'chunked with a parameter', why: 'RFC 9112, 7', bytes: coded('chunked;a=b'), ...UNCODED },
  { name: '"chunked"', why: 'RFC 9112, 6.1', bytes: coded('"chunked"'), ...UNCODED },
  {
    name: 'chunked with a vertical tab',
    why: 'RFC 9112, 5',
    bytes: coded('\x0bchunked'),
    ...UNCODED,
  },
  { name: 'chunked with a line feed', why: 'RFC 9112, 2.2', bytes: coded('\nchunked'), ...UNCODED },
  {
    name: 'two lines of chunked',
    why: 'RFC 9112, 7.1',
    bytes: createWith([CHUNKED, CHUNKED], WHOLE),
    ...UNCODED,
  },
  {
    name: 'chunked and identity in two lines',
    why: 'RFC 9112, 6.3',
    bytes: createWith([CHUNKED, 'Transfer-Encoding: identity'], WHOLE),
    ...UNCODED,
  },
  {
    name: 'a space before the colon',
    why: 'RFC 9112, 5.1',
    bytes: createWith(['Transfer-Encoding : chunked'], WHOLE),
    ...UNCODED,
  },
  {
    name: 'a length before chunks',
    why: 'RFC 9112, 6.3',
    bytes: createWith([LENGTH, CHUNKED], WHOLE),
    ...REFUSED,
    expect: 400,
  },
  {
    name: 'a length behind chunks',
    why: 'RFC 9112, 6.3',
    bytes: createWith([CHUNKED, LENGTH], WHOLE),
    ...REFUSED,
    expect: 400,
  },
  {
    name: 'CL.TE',
    why: 'RFC 9112, 6.1',
    bytes: createWith(['Content-Length: {rest}', CHUNKED], `0\r\n\r\n${SMUGGLED}`),
    ...REFUSED,
    expect: 400,
  },
  {
    name: 'TE.CL',
    why: 'RFC 9112, 6.1',
    bytes: createWith(['Content-Length: 4', CHUNKED], `${chunk(SMUGGLED)}0\r\n\r\n`),
    ...REFUSED,
    expect: 400,
  },
  {
    name: 'TE.TE',
    why: 'RFC 9112, 6.3',
    bytes: createWith(
      [CHUNKED, 'Transfer-Encoding: x', 'Content-Length: 4'],
      `${chunk(SMUGGLED)}0\r\n\r\n`,
    ),
    ...REFUSED,
  },
  {
    name: 'both framings on a GET',
    why: 'RFC 9112, 6.1',
    bytes: `${plain('GET', '/health', 'Content-Length: 5', CHUNKED)}0\r\n\r\n${SMUGGLED}`,
    ...REFUSED,
  },
  {
    name: 'both framings on an unknown path',
    why: 'RFC 9112, 6.1',
    bytes: `${plain('GET', '/nope', 'Content-Length: 5', CHUNKED)}0\r\n\r\n${SMUGGLED}`,
    expect: [400, 404, 'none'],
    closes: true,
  },
  {
    name: 'chunks of a GET',
    why: 'RFC 9110, 9.3.1',
    bytes: `${plain('GET', '/health', CHUNKED)}0\r\n\r\n`,
    expect: [200, 400],
    closes: true,
  },
  {
    name: 'a request behind chunks',
    why: 'RFC 9112, 9.6; uWebSockets.js closes when it reads more, with or without the answer',
    bytes: createWith([CHUNKED], WHOLE) + SMUGGLED,
    expect: [201, 'none'],
    closes: true,
    writesMax: 1,
  },
]
