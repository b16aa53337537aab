// All written cases, by group.
import { bodies } from './cases/bodies.ts'
import { fields } from './cases/fields.ts'
import { framing } from './cases/framing.ts'
import { heads } from './cases/heads.ts'
import { json } from './cases/json.ts'
import { methods } from './cases/methods.ts'
import { queries } from './cases/queries.ts'
import { requestLine } from './cases/request-line.ts'
import { sequences } from './cases/sequences.ts'
import { tokens } from './cases/tokens.ts'
import type { Case } from './case.ts'

interface Group {
  cases: readonly Case[]
  /** True where uWebSockets.js may refuse with a page of its own, before our code sees the request. */
  pages: boolean
}

export const CORPUS: Readonly<Record<string, Group>> = {
  'request lines': { cases: requestLine, pages: true },
  heads: { cases: heads, pages: true },
  framing: { cases: framing, pages: true },
  bodies: { cases: bodies, pages: false },
  JSON: { cases: json, pages: false },
  fields: { cases: fields, pages: false },
  queries: { cases: queries, pages: false },
  tokens: { cases: tokens, pages: false },
  methods: { cases: methods, pages: true },
  sequences: { cases: sequences, pages: true },
}
