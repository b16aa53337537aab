// Runs in the commands `restore` and `seed`. Hands rows to PostgreSQL, table by table, in the text format of COPY.
import { describeError } from '../failures.ts'
import { damaged, type Row } from './format.ts'
import type { CopyIn, Session } from './session.ts'
import { quoteName, type Table } from './tables.ts'

/** So much goes out at once. */
const CHUNK_LENGTH = 64 * 1024
const TO_ESCAPE = /[\\\n\r\t]/g
const ESCAPED: Readonly<Record<string, string>> = {
  '\\': '\\\\',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
}
/** Where PostgreSQL says which line of the COPY it means, in any language: "COPY users, line 3". */
const COPY_LINE = /^COPY \w+, \D*(\d+)/

export interface RowWriter {
  /** Resolves when there is room for more. */
  write(row: Row, line: number): Promise<void>
  /** Resolves with the number of rows by table, when PostgreSQL has taken all of them. */
  end(): Promise<Record<string, number>>
}

interface OpenTable extends Table {
  copy: CopyIn
  firstLine: number
}

/** The rows come in the order of `tables`. */
export function createRowWriter(
  session: Session,
  tables: readonly Table[],
  onRows: (rows: number) => void,
): RowWriter {
  const counts = Object.fromEntries(tables.map(({ name }) => [name, 0]))
  const waiting = [...tables]
  let open: OpenTable | undefined
  let text = ''
  let rows = 0

  async function flush(copy: CopyIn): Promise<void> {
    onRows(rows)
    rows = 0
    const chunk = text
    text = ''
    await copy.write(chunk)
  }

  async function close(): Promise<void> {
    if (!open) return
    const { copy } = open
    await explained(open, async () => {
      await flush(copy)
      await copy.end()
    })
    open = undefined
  }

  async function openNext(name: string, line: number): Promise<OpenTable> {
    await close()
    let table = waiting.shift()
    while (table && table.name !== name) table = waiting.shift()
    if (!table) throw damaged(line, 'is a row of a table that is not, or not here, in the header')
    const columns = table.columns.map(quoteName).join(', ')
    const copy = await session.copyIn(`copy ${name} (${columns}) from stdin`)
    return { ...table, copy, firstLine: line }
  }

  return {
    write: async ({ table, row }, line) => {
      if (open?.name !== table) open = await openNext(table, line)
      text += toCopyLine(open, row, line)
      counts[table] = (counts[table] ?? 0) + 1
      rows += 1
      const { copy } = open
      if (text.length >= CHUNK_LENGTH) await explained(open, () => flush(copy))
    },
    end: async () => {
      await close()
      return counts
    },
  }
}

function toCopyLine({ columns }: Table, row: Row['row'], line: number): string {
  if (Object.keys(row).length !== columns.length) throw wrongColumns(line)
  const fields = columns.map((column) => {
    const value = row[column]
    if (value === undefined) throw wrongColumns(line)
    return value === null
      ? '\\N'
      : value.replace(TO_ESCAPE, (character) => ESCAPED[character] ?? '')
  })
  return `${fields.join('\t')}\n`
}

function wrongColumns(line: number): Error {
  return damaged(line, 'has other columns than the header says')
}

/** Says which line of the file PostgreSQL means, and nothing of what it quotes. */
async function explained({ name, firstLine }: OpenTable, work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (cause) {
    const reason = describeError(cause)?.message
    if (typeof reason !== 'string') throw cause
    const copied = COPY_LINE.exec((cause as { where?: string }).where ?? '')?.[1]
    const place =
      copied === undefined ? `Rows of "${name}"` : `Line ${firstLine + Number(copied) - 1}`
    throw new Error(`${place}: PostgreSQL refuses it: ${reason}`, { cause })
  }
}
