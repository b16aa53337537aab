// Runs in listeners and in `openapi`. The shape of a route: one declaration is validator, types, document and Allow.
import type { Static, TObject, TSchema } from '@sinclair/typebox'
import type { Recording } from '../observe/recording.ts'
import type { TraceContext } from '../observe/trace-context.ts'
import type { ProblemCode } from './problem.ts'

export type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE'

/** What a handler knows about a request: who asks, until when, and its id in the log. */
export interface Call {
  readonly requestId: string
  /** What `authenticate` made of the `Authorization` header; `undefined` on routes without `auth`. */
  readonly caller: string | undefined
  /** What its client is counted by: an IPv4 address or an IPv6 /64; empty when it is not known. */
  readonly client: string
  /** When the answer is no longer wanted, by `performance.now()`. */
  readonly deadlineMs: number
  /** True once nobody waits for the answer: it was sent, or the client has gone. */
  readonly ended: boolean
  /** How long its calls to the database have waited until they were sent, in milliseconds. */
  queuedMs: number
  /** Its place in a trace, when it has one. */
  readonly trace: TraceContext | undefined
  /** What its times are noted in, when it is traced. */
  readonly recording: Recording | undefined
}

/** What the steps of a request have read from the request. */
export interface Received {
  params: unknown
  query: unknown
  body: unknown
}

/**
 * What a request is worth while there is more work than can be done: reads are turned away last, and `heavy` ones, lists
 * and passwords, first.
 */
export type Priority = 'read' | 'write' | 'heavy'

/** One successful answer of a route. */
interface Response {
  description: string
  /** Absent when there is no body. */
  body?: TSchema
  /** Headers of the answer: lower-case names, and descriptions for the document. */
  headers?: Readonly<Record<string, string>>
}

type Responses = Readonly<Record<number, Response>>
type Headers = Readonly<Record<string, string>>

/** A value of this type that is already written as JSON. */
export class Ready<Value> {
  declare readonly value: Value
  readonly json: string | Buffer

  constructor(json: string | Buffer) {
    this.json = json
  }
}

/** What a handler returns: one of the responses that its route declares. */
type Reply<Declared extends Responses> = {
  [Status in keyof Declared]: { status: Status } & BodyOf<Declared[Status]> &
    HeadersOf<Declared[Status]>
}[keyof Declared]

type BodyOf<Declared> = Declared extends { body: infer Schema extends TSchema }
  ? { body: Given<Static<Schema>> | Ready<Static<Schema>> }
  : { body?: undefined }

/** A handler may return an array that it must not change. */
type Given<Value> = Value extends readonly (infer Item)[] ? readonly Item[] : Value

type HeadersOf<Declared> = Declared extends { headers: infer Names }
  ? { headers?: { readonly [Name in keyof Names]?: string } }
  : { headers?: undefined }

/** A reply whose types have been erased. Header values must be free of CR and LF. */
export interface AnyReply {
  status: number
  headers?: Readonly<Record<string, string | undefined>>
  body?: unknown
}

type Typed<Schema extends TObject | undefined> = Schema extends TObject ? Static<Schema> : undefined

interface Declaration<
  Context,
  Auth extends boolean,
  Params extends TObject | undefined,
  Query extends TObject | undefined,
  Body extends TObject | undefined,
  Declared extends Responses,
> {
  method: Method
  /** In uWebSockets.js' form: `/tasks/:id`. */
  path: string
  summary: string
  tag: string
  /** True when the route needs a caller. */
  auth: Auth
  /** Absent on routes that are always served, whatever the load. */
  priority?: Priority
  /** True on routes that load balancers ask, however often. */
  unlimited?: true
  params?: Params
  query?: Query
  body?: Body
  responses: Declared
  /** Problems particular to this route; the document adds those that any such route can have. */
  problems?: readonly ProblemCode[]
  /** Constant headers of every reply, lower case. */
  headers?: Headers
  handle(
    context: Context,
    call: Auth extends true ? Call & { readonly caller: string } : Call,
    input: { params: Typed<Params>; query: Typed<Query>; body: Typed<Body> },
  ): Reply<Declared> | Promise<Reply<Declared>>
}

/** A route whose schemas' static types have been erased. */
export interface Route<Context> {
  readonly method: Method
  readonly path: string
  readonly summary: string
  readonly tag: string
  readonly auth: boolean
  readonly priority?: Priority
  readonly unlimited?: true
  readonly params?: TObject
  readonly query?: TObject
  readonly body?: TObject
  readonly responses: Responses
  readonly problems?: readonly ProblemCode[]
  readonly headers?: Headers
  handle(
    context: Context,
    call: Call,
    input: { params: unknown; query: unknown; body: unknown },
  ): AnyReply | Promise<AnyReply>
}

/** Makes the function that declares routes for a context; a handler's input and reply are typed by the schemas. */
export function routesFor<Context>() {
  return function defineRoute<
    const Declared extends Responses,
    const Auth extends boolean,
    Params extends TObject | undefined = undefined,
    Query extends TObject | undefined = undefined,
    Body extends TObject | undefined = undefined,
  >(declaration: Declaration<Context, Auth, Params, Query, Body, Declared>): Route<Context> {
    return declaration as unknown as Route<Context>
  }
}
