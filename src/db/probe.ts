// Runs in listeners. What readiness asks on each connection, the way in which requests ask: a prepared statement.
import { type Carrier, runBatch } from './batch.ts'
import { type Input, single } from './operation.ts'
import { ConnectionError } from './wire/error.ts'
import { readInt32 } from './wire/protocol.ts'

/** Whether the server, or this session on it, refuses to write. */
export const probe = single<Input, boolean, boolean>({
  name: 'probe',
  purpose: 'read',
  parameters: {},
  columns: { only_reads: 'int' },
  text: () => `
    select (pg_is_in_recovery() or current_setting('transaction_read_only')::boolean)::int
      as only_reads`,
  reading: {
    start: true,
    // Column 1: where it starts.
    row: (_, bytes, fields) => readInt32(bytes, fields[2] as number) !== 0,
    end: (onlyReads) => onlyReads,
  },
})

/** Resolves when what is behind `carrier` answers and can write; rejects with the reason why not. */
export async function checkCarrier(carrier: Carrier, deadlineMs: number): Promise<void> {
  const onlyReads = await new Promise<unknown>((resolve, reject) => {
    const call = { input: {}, deadlineMs, isOver: () => false, resolve, reject, expire: reject }
    void runBatch(carrier, probe, [call])
  })
  if (onlyReads) throw new ConnectionError('25006', 'The server only reads')
}
