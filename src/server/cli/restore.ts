// Runs in the process that the user started: the command `restore`.
import { open } from 'node:fs/promises'
import { pipeline, Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { load } from '../../db/backup/load.ts'
import { migrate } from '../../db/migrate.ts'
import { MIGRATIONS_FOLDER } from '../root.ts'
import { describeRows, showProgress } from './progress.ts'
import { withDatabase } from './target.ts'

/** The name that stands for standard input. */
const STANDARD_INPUT = '-'
/** The first byte of what gzip writes, and never of a line of JSON. */
const GZIP_START = 0x1f

/** Brings the rows of a backup into an empty database, which is migrated before. */
export async function restore(name: string): Promise<void> {
  // Before a database is started for it.
  const input = await openInput(name)
  await withDatabase(
    { failure: 'Cannot restore' },
    async (address, { STARTUP_TIMEOUT_MS: timeoutMs }) => {
      const progress = showProgress(() => input.readShare())
      const folder = MIGRATIONS_FOLDER
      const options = {
        migrationsFolder: folder,
        migrate: () => migrate({ address, folder, timeoutMs, onApplied: () => undefined }),
        onRows: (rows: number) => progress.add(rows),
      }
      let rows: Record<string, number>
      try {
        rows = await load(address, decompress(input.bytes), options)
      } finally {
        progress.stop()
      }
      process.stderr.write(`Restored ${describeRows(rows)}\n`)
    },
  )
}

interface Input {
  bytes: AsyncIterable<Uint8Array>
  readShare(): number | undefined
}

async function openInput(name: string): Promise<Input> {
  if (name === STANDARD_INPUT) return { bytes: process.stdin, readShare: () => undefined }
  const file = await open(name).catch((error: unknown) => {
    throw refusal(name, explain(error), error)
  })
  const found = await file.stat()
  if (found.isDirectory()) throw refusal(name, 'it is a folder')
  const bytes = file.createReadStream()
  return { bytes, readShare: () => (found.size > 0 ? bytes.bytesRead / found.size : undefined) }
}

function refusal(name: string, reason: string, cause?: unknown): Error {
  return new Error(`Cannot restore "${name}": ${reason}`, { cause })
}

function explain(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === 'ENOENT') return 'there is no such file'
  return code === 'EACCES' ? 'this user may not read it' : String(error)
}

/** What gzip has compressed is recognised by its first byte, whatever the name says. */
async function* decompress(input: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const chunks = input[Symbol.asyncIterator]()
  const first = await chunks.next()
  if (first.done) return
  const all = prepend(first.value, chunks)
  if (first.value[0] === GZIP_START) {
    // What goes wrong ends the iteration with its error.
    yield* pipeline(Readable.from(all), createGunzip(), () => undefined)
  } else {
    yield* all
  }
}

async function* prepend(
  first: Uint8Array,
  rest: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  yield first
  for (let next = await rest.next(); !next.done; next = await rest.next()) yield next.value
}
