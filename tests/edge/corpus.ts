// All written cases, by group.
import type { Case } from './case.ts'
import { accounts } from './cases/accounts.ts'
import { bodies } from './cases/bodies.ts'
import { changes } from './cases/changes.ts'
import { chunks } from './cases/chunks.ts'
import { codings } from './cases/codings.ts'
import { headers } from './cases/headers.ts'
import { heads } from './cases/heads.ts'
import { json } from './cases/json.ts'
import { lengths } from './cases/lengths.ts'
import { methods } from './cases/methods.ts'
import { options } from './cases/options.ts'
import { queries } from './cases/queries.ts'
import { requestLine } from './cases/request-line.ts'
import { sequences } from './cases/sequences.ts'
import { taskFields } from './cases/task-fields.ts'
import { times } from './cases/times.ts'
import { tokens } from './cases/tokens.ts'

interface Group {
  cases: readonly Case[]
  /** True where uWebSockets.js may refuse with a page of its own, before our code sees the request. */
  pages: boolean
}

export const CORPUS: Readonly<Record<string, Group>> = {
  'request lines': { cases: requestLine, pages: true },
  heads: { cases: heads, pages: true },
  lengths: { cases: lengths, pages: true },
  codings: { cases: codings, pages: true },
  chunks: { cases: chunks, pages: true },
  bodies: { cases: bodies, pages: false },
  JSON: { cases: json, pages: false },
  'fields of a task': { cases: taskFields, pages: false },
  times: { cases: times, pages: false },
  changes: { cases: changes, pages: false },
  accounts: { cases: accounts, pages: false },
  queries: { cases: queries, pages: false },
  tokens: { cases: tokens, pages: false },
  methods: { cases: methods, pages: true },
  options: { cases: options, pages: true },
  headers: { cases: headers, pages: false },
  sequences: { cases: sequences, pages: true },
}
