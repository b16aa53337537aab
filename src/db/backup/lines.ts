// Runs in the command `restore`. Splits what is read into lines.
import { damaged } from './format.ts'

const LINE_END = 0x0a
/** Longer than any row; without a limit, a file without line ends would fill the memory. */
const LINE_BYTES_MAX = 16 * 1024 * 1024

export interface Line {
  /** From 1. */
  number: number
  /** With the line end. */
  bytes: Buffer
}

/** Throws with the number of the line that cannot be read, or that ends with the file. */
export async function* splitLines(input: AsyncIterable<Uint8Array>): AsyncGenerator<Line> {
  let number = 1
  let rest: Buffer[] = []
  let restBytes = 0
  for await (const chunk of reporting(input, () => number)) {
    let start = 0
    for (let end = chunk.indexOf(LINE_END); end >= 0; end = chunk.indexOf(LINE_END, start)) {
      const bytes = Buffer.concat([...rest, chunk.subarray(start, end + 1)])
      yield { number, bytes }
      number += 1
      rest = []
      restBytes = 0
      start = end + 1
    }
    rest.push(chunk.subarray(start))
    restBytes += chunk.length - start
    if (restBytes > LINE_BYTES_MAX) throw damaged(number, 'is too long for a row')
  }
  if (restBytes > 0) throw damaged(number, 'is cut off')
}

/** A disk that fails, or compressed data that do not end. */
async function* reporting(
  input: AsyncIterable<Uint8Array>,
  lineNumber: () => number,
): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of input) yield Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw damaged(lineNumber(), `cannot be read: ${reason}`)
  }
}
