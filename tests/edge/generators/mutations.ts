// Ways in which the bytes of a request can be wrong.
import type { Random } from '../../support/random.ts'

type Change = (bytes: Buffer, random: Random) => Buffer

/** Pieces that mean something to a parser. */
const TOKENS = [
  '\r\n',
  '\n',
  '\r',
  '\0',
  ':',
  ' ',
  '\t',
  '{',
  '}',
  '[',
  ']',
  '"',
  '\\',
  ',',
  '0',
  '-',
  '9'.repeat(30),
]
  .concat([
    'Content-Length: 5\r\n',
    'Transfer-Encoding: chunked\r\n',
    'Expect: 100-continue\r\n',
    '\r\n\r\n',
    'null',
  ])
  .map((text) => Buffer.from(text, 'latin1'))

const CHANGES: readonly Change[] = [
  (bytes, random) => {
    const at = random(bytes.length)
    bytes[at] = (bytes[at] ?? 0) ^ (1 << random(8))
    return bytes
  },
  (bytes, random) => {
    bytes[random(bytes.length)] = random(256)
    return bytes
  },
  (bytes, random) => {
    const from = random(bytes.length)
    return Buffer.concat([bytes.subarray(0, from), bytes.subarray(from + 1 + random(8))])
  },
  (bytes, random) => {
    const from = random(bytes.length)
    const again = bytes.subarray(from, from + 1 + random(30))
    return Buffer.concat([bytes.subarray(0, from), again, bytes.subarray(from)])
  },
  (bytes, random) => {
    const at = random(bytes.length)
    const token = TOKENS[random(TOKENS.length)] ?? Buffer.alloc(0)
    return Buffer.concat([bytes.subarray(0, at), token, bytes.subarray(at)])
  },
]

/** One to three changes anywhere in the body. */
export function mutateJson(body: Buffer, random: Random): Buffer {
  let mutated = body
  for (let count = 1 + random(3); count > 0; count -= 1) {
    const change = CHANGES[random(CHANGES.length)]
    if (change && mutated.length > 0) mutated = change(mutated, random)
  }
  return mutated
}

/** One to three changes within the head; the body stays. */
export function mutateHead(bytes: Buffer, random: Random): Buffer {
  const end = bytes.indexOf('\r\n\r\n') + 4
  return Buffer.concat([
    mutateJson(Buffer.from(bytes.subarray(0, end)), random),
    bytes.subarray(end),
  ])
}
