// Runs in listeners. Where a page of tasks ends, so that the next page can start there, however many tasks come before.
import { isInstant } from './instant.ts'

/** The last task of a page, in the order of lists: newest first, then by id. */
export interface Cursor {
  /** RFC 3339 in UTC, with the microseconds that PostgreSQL keeps. */
  created_at: string
  id: string
}

const TEXT = /^(\S{20,32})\/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/

/** Opaque to clients. It hides nothing and grants nothing: a forged one names another place in the caller's own list. */
export function encodeCursor({ created_at, id }: Cursor): string {
  return Buffer.from(`${created_at}/${id}`).toString('base64url')
}

/** `undefined` for a text that `encodeCursor` cannot have made. */
export function decodeCursor(text: string): Cursor | undefined {
  const [, created_at = '', id = ''] = TEXT.exec(Buffer.from(text, 'base64url').toString()) ?? []
  return isInstant(created_at) ? { created_at, id } : undefined
}
