// Runs in listeners and in `openapi`. The shape of a route: one declaration is validator, types, document and Allow.
import type { Static, TObject, TSchema } from '@sinclair/typebox'
import type { Context } from './context.ts'
import type { ErrorCode } from './errors.ts'

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
  /** The `Location` of what was created. */
  location?(answer: Static<NonNullable<Answer>>): string
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

type Reply<Answer extends TSchema | undefined> = Answer extends TSchema ? Static<Answer> : void

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
  location?(answer: unknown): string
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
