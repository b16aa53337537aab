// Runs in the process that the user started: the command `backup`.
import type { Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import { dump } from '../../db/backup/dump.ts'
import { VERSION } from '../root.ts'
import { writePrivately } from './private-output.ts'
import { describeRows, showProgress } from './progress.ts'
import { withDatabase } from './target.ts'

/** The name that stands for standard output. */
const STANDARD_OUTPUT = '-'

/** Writes every row of one moment to a file, compressed when its name ends in `.gz`, or to standard output. */
export async function backUp({ output }: { output: string }): Promise<void> {
  if (output === STANDARD_OUTPUT && process.stdout.isTTY) {
    throw new Error('Cannot back up to a terminal: name a file with --output, or use a pipe')
  }
  await withDatabase({ failure: 'Cannot back up' }, async (address) => {
    let estimate: number | undefined
    const progress = showProgress((rows) => (estimate ? rows / estimate : undefined))
    const options = {
      serviceVersion: VERSION,
      onEstimate: (rows: number | undefined) => {
        estimate = rows
      },
      onRows: (rows: number) => progress.add(rows),
    }
    let rows: Record<string, number>
    try {
      rows = await dump(address, options, (lines) => writeTo(output, lines))
    } finally {
      progress.stop()
    }
    process.stderr.write(`Backed up ${describeRows(rows)}\n`)
  })
}

function writeTo(output: string, lines: AsyncIterable<Uint8Array>): Promise<void> {
  if (output === STANDARD_OUTPUT) return pipeline(lines, process.stdout, { end: false })
  const isCompressed = output.endsWith('.gz')
  return writePrivately(output, (file: Writable) =>
    isCompressed ? pipeline(lines, createGzip(), file) : pipeline(lines, file),
  )
}
