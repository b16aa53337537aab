// Runs in listeners and in `openapi`. The shape of a route: one declaration is validator, types, document and Allow.
import type { Static, TObject, TSchema } from '@sinclair/typebox'
import type { Context } from '../api/context.ts'
import type { ErrorCode } from './problem.ts'

export type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE'

/** What a handler gets: all of it already checked. `userId` is empty on routes without `auth`. */
export interface RouteInput {
  userId: string
  requestId: string
  params: unknown
  query: unknown
  body: unknown
}

type Typed<T extends TObject | undefined> = T extends TObject ? Static<T> : undefined

interface Declaration<
  Params extends TObject | undefined,
  Query extends TObject | undefined,
  Body extends TObject | undefined,
  Answer extends TSchema | undefined,
> {
  method: Method
  /** In uWebSockets.js' form: `/tasks/:id`. */
  path: string
  summary: string
  tag: string
  /** True when the route needs a bearer token. */
  auth: boolean
  params?: Params
  query?: Query
  body?: Body
  success: { status: number; description: string; schema?: Answer }
  /** Errors particular to this route; what every route can answer is added by the document. */
  errors?: readonly ErrorCode[]
  /** Constant headers of the answer, lower case. */
  headers?: Readonly<Record<string, string>>
  /** Headers that an answer of its own brings along, lower case, with what they say. */
  answerHeaders?: Readonly<Record<string, string>>
  handle(
    context: Context,
    input: {
      userId: string
      requestId: string
      params: Typed<Params>
      query: Typed<Query>
      body: Typed<Body>
    },
  ): Reply<Answer> | Promise<Reply<Answer>>
}

/** An answer with headers of its own. */
export class WithHeaders<Value> {
  readonly value: Value
  /** Lower-case names; values must be free of CR and LF. */
  readonly headers: Readonly<Record<string, string>>

  constructor(value: Value, headers: Readonly<Record<string, string>>) {
    this.value = value
    this.headers = headers
  }
}

type Reply<Answer extends TSchema | undefined> = Answer extends TSchema
  ? Static<Answer> | WithHeaders<Static<Answer>>
  : void

/** A route whose schemas' static types have been erased. */
export interface Route {
  readonly method: Method
  readonly path: string
  readonly summary: string
  readonly tag: string
  readonly auth: boolean
  readonly params?: TObject
  readonly query?: TObject
  readonly body?: TObject
  readonly success: { status: number; description: string; schema?: TSchema }
  readonly errors?: readonly ErrorCode[]
  readonly headers?: Readonly<Record<string, string>>
  readonly answerHeaders?: Readonly<Record<string, string>>
  handle(context: Context, input: RouteInput): unknown
}

/** Declares a route; the handler's input and answer are typed by the schemas. */
export function defineRoute<
  Params extends TObject | undefined = undefined,
  Query extends TObject | undefined = undefined,
  Body extends TObject | undefined = undefined,
  Answer extends TSchema | undefined = undefined,
>(declaration: Declaration<Params, Query, Body, Answer>): Route {
  return declaration as unknown as Route
}
