// Runs in every process that serves. Every metric: a row here, and a number where it happens. The endpoint and the table of
// `docs/operating.md` come from these rows. No label has values that a client could choose.
import { getHeapStatistics } from 'node:v8'
import { BATCH_CALLS, type Lane } from '../../db/lane.ts'
import { type Histogram, SECONDS } from '../../stats/histogram.ts'
import type { Context } from '../api/context.ts'
import type { ConnectionCount } from '../http/connections.ts'
import type { Host } from '../http/host.ts'
import { VERSION } from '../root.ts'
import { byName, type Metric, type Reading } from './metric.ts'
import type { Vitals } from './vitals.ts'

const CONNECTION_STATES = ['connecting', 'warming', 'ready', 'retired'] as const
const LISTENER_STATES = ['empty', 'starting', 'listening', 'refusing', 'killed'] as const

/** There from the start, so that the first restart is seen as an increase: how listeners end most often. */
const NO_RESTARTS = { SIGKILL: 0, SIGABRT: 0, SIGSEGV: 0, 'exit code 1': 0 }

/** What a listener reads its metrics from. */
export interface ListenerSource {
  readonly host: Host
  readonly context: Context
  readonly connections: ConnectionCount
  readonly vitals: Vitals
  /** The version of uWebSockets.js that was loaded. */
  readonly uws: string
  readonly linesDropped: () => number
}

/** What the process that the user started reads its metrics from. */
export interface ServiceSource {
  readonly memoryBytes: number
  /** Whether clients should be sent here. */
  readonly ready: boolean
  /** The states of the listeners. */
  readonly states: readonly string[]
  /** Listeners that were replaced, by how they ended. */
  readonly replaced: ReadonlyMap<string, number>
  /** Listeners, and whether each is represented by an earlier answer. */
  readonly stale: ReadonlyMap<string, boolean>
}

export const LISTENER_METRICS: readonly Metric<ListenerSource>[] = [
  {
    name: 'taskapi_http_requests_total',
    help: 'Requests by the pattern of their route, /* where none matches, and by the status of the answer, aborted where the client left first',
    type: 'counter',
    labels: ['method', 'route', 'status'],
    read: ({ host }) =>
      host.tallies.flatMap(({ pattern, outcomes }) =>
        outcomes.map(({ method, status, count }): Reading => [[method, pattern, status], count]),
      ),
  },
  {
    name: 'taskapi_http_request_duration_seconds',
    help: 'From the head of a request to its answer; without requests whose client left first',
    type: 'histogram',
    labels: ['route'],
    bounds: SECONDS,
    read: ({ host }) =>
      host.tallies
        .filter(({ outcomes }) => outcomes.length > 0)
        .map(({ pattern, durations }) => [[pattern], durations]),
  },
  {
    name: 'taskapi_http_requests_in_flight',
    help: 'Requests whose answer was not written yet, or not taken by the client',
    type: 'gauge',
    labels: [],
    read: ({ host }) => [[[], host.inFlight]],
  },
  {
    name: 'taskapi_http_shed_total',
    help: 'Requests, or database calls and passwords of requests, that were turned away, by the limit that did it',
    type: 'counter',
    labels: ['reason'],
    read: ({ host, context: { queue, passwords, loginCounts } }) =>
      byName({
        ...queue.refused,
        ...host.shed,
        rate_limit: host.options.rateLimit?.refused ?? 0,
        login_limit: loginCounts.login_throttled,
        password_queue: passwords.stats().counts.refused,
      }),
  },
  {
    name: 'taskapi_connections',
    help: 'Connections of clients: all that are open, those that have not taken their answer, and those that are left a moment to stop sending',
    type: 'gauge',
    labels: ['state'],
    read: ({ host: { unread, lingering }, connections }) =>
      byName({ open: connections.open, unread: unread.size, lingering: lingering.size }),
  },
  {
    name: 'taskapi_connections_refused_total',
    help: 'Connections that were closed at once, because of MAX_CONNECTIONS or of the share of their client',
    type: 'counter',
    labels: ['reason'],
    read: ({ connections }) => byName(connections.refused),
  },
  {
    name: 'taskapi_rate_limit_decisions_total',
    help: 'Requests that RATE_LIMIT has admitted and refused',
    type: 'counter',
    labels: ['decision'],
    read: ({ host: { options } }) =>
      byName({
        admitted: options.rateLimit?.admitted ?? 0,
        refused: options.rateLimit?.refused ?? 0,
      }),
  },
  {
    name: 'taskapi_login_events_total',
    help: 'What has happened to logins and registrations, by the event that the log names',
    type: 'counter',
    labels: ['event'],
    read: ({ context }) => byName(context.loginCounts),
  },
  {
    name: 'taskapi_db_batch_calls',
    help: 'Calls that shared a statement',
    type: 'histogram',
    labels: ['operation'],
    bounds: BATCH_CALLS,
    read: (source) => byOperation(source, ({ batches }) => batches),
  },
  {
    name: 'taskapi_db_queue_wait_seconds',
    help: 'How long calls waited before they were sent to PostgreSQL',
    type: 'histogram',
    labels: ['operation'],
    bounds: SECONDS,
    read: (source) => byOperation(source, ({ waits }) => waits),
  },
  {
    name: 'taskapi_db_statement_duration_seconds',
    help: 'From sending a statement to its answer, repetitions included',
    type: 'histogram',
    labels: ['operation'],
    bounds: SECONDS,
    read: (source) => byOperation(source, ({ durations }) => durations),
  },
  {
    name: 'taskapi_db_queue_calls',
    help: 'Calls that wait to be sent',
    type: 'gauge',
    labels: ['operation'],
    read: (source) => byOperation(source, ({ waiting }) => waiting.size),
  },
  {
    name: 'taskapi_db_statements_in_flight',
    help: 'Statements that were sent and are not answered',
    type: 'gauge',
    labels: ['operation'],
    read: (source) => byOperation(source, ({ inFlight }) => inFlight),
  },
  {
    name: 'taskapi_db_connections',
    help: 'Places for connections to PostgreSQL, by what their statements do and by state; only those that are ready carry statements',
    type: 'gauge',
    labels: ['purpose', 'state'],
    read: ({ context: { database } }) =>
      (database.stats()?.connections ?? []).flatMap(({ purposes, state }) =>
        CONNECTION_STATES.map((each) => [[purposes.join('+'), each], Number(each === state)]),
      ),
  },
  {
    name: 'taskapi_db_connections_replaced_total',
    help: 'Connections to PostgreSQL that were lost and replaced',
    type: 'counter',
    labels: ['purpose'],
    read: ({ context: { database } }) =>
      (database.stats()?.connections ?? []).map(({ purposes, replaced }) => [
        [purposes.join('+')],
        replaced,
      ]),
  },
  {
    name: 'taskapi_db_failures_total',
    help: 'Statements that failed, each time that they were run, by what the failure means: see docs/database.md',
    type: 'counter',
    labels: ['kind'],
    read: ({ context: { database } }) => byName(database.stats()?.failures ?? {}),
  },
  {
    name: 'taskapi_password_queue_tasks',
    help: 'Passwords that wait for a thread',
    type: 'gauge',
    labels: [],
    read: ({ context }) => [[[], context.passwords.stats().waiting]],
  },
  {
    name: 'taskapi_password_threads_busy',
    help: 'Threads that hash or verify a password',
    type: 'gauge',
    labels: [],
    read: ({ context }) => [[[], context.passwords.stats().counts.running]],
  },
  {
    name: 'taskapi_password_wait_seconds',
    help: 'How long passwords waited for a thread',
    type: 'histogram',
    labels: [],
    bounds: SECONDS,
    read: ({ context }) => [[[], context.passwords.stats().counts.waits]],
  },
  {
    name: 'taskapi_password_duration_seconds',
    help: 'How long hashing or verifying a password took, the start of a thread included',
    type: 'histogram',
    labels: [],
    bounds: SECONDS,
    read: ({ context }) => [[[], context.passwords.stats().counts.durations]],
  },
  {
    name: 'taskapi_log_lines_dropped_total',
    help: 'Log lines of listeners that were dropped because standard output did not take them',
    type: 'counter',
    labels: [],
    read: ({ linesDropped }) => [[[], linesDropped()]],
  },
  {
    name: 'taskapi_event_loop_delay_seconds',
    help: 'How much later than asked for timers ran in the last 15 to 30 seconds: median, 99th percentile and the longest',
    type: 'gauge',
    labels: ['listener', 'statistic'],
    perProcess: true,
    read: ({ vitals: { delay } }) => byName({ p50: delay.median, p99: delay.p99, max: delay.max }),
  },
  {
    name: 'taskapi_event_loop_utilization',
    help: 'The part of the last second or longer in which the event loop was busy',
    type: 'gauge',
    labels: ['listener'],
    perProcess: true,
    read: ({ vitals }) => [[[], vitals.utilization]],
  },
  {
    name: 'taskapi_gc_pause_seconds',
    help: 'Pauses of the garbage collector',
    type: 'histogram',
    labels: ['kind'],
    bounds: SECONDS,
    read: ({ vitals }) => [...vitals.pauses].map(([kind, pauses]) => [[kind], pauses]),
  },
  {
    name: 'taskapi_heap_used_bytes',
    help: 'Memory of the JavaScript heap that is in use, garbage included',
    type: 'gauge',
    labels: ['listener'],
    perProcess: true,
    read: () => [[[], getHeapStatistics().used_heap_size]],
  },
  {
    name: 'taskapi_heap_limit_bytes',
    help: 'What the JavaScript heap may grow to before the listener dies',
    type: 'gauge',
    labels: ['listener'],
    perProcess: true,
    read: () => [[[], getHeapStatistics().heap_size_limit]],
  },
  {
    name: 'taskapi_resident_bytes',
    help: 'Memory of the process that is in RAM, shared pages of files included',
    type: 'gauge',
    labels: ['listener'],
    perProcess: true,
    read: () => [[[], process.memoryUsage.rss()]],
  },
  {
    name: 'taskapi_build_info',
    help: 'Always 1; the versions of the service, of Node and of uWebSockets.js',
    type: 'gauge',
    labels: ['listener', 'version', 'node', 'uws'],
    perProcess: true,
    read: ({ uws }) => [[[VERSION, process.versions.node, uws], 1]],
  },
]

export const SERVICE_METRICS: readonly Metric<ServiceSource>[] = [
  {
    name: 'taskapi_ready',
    help: '1 where clients should be sent here, as /readyz says',
    type: 'gauge',
    labels: [],
    read: ({ ready }) => [[[], Number(ready)]],
  },
  {
    name: 'taskapi_listeners',
    help: 'Listener processes by state; clients are served by those that are listening',
    type: 'gauge',
    labels: ['state'],
    read: ({ states }) =>
      LISTENER_STATES.map((each) => [[each], states.filter((state) => state === each).length]),
  },
  {
    name: 'taskapi_listener_restarts_total',
    help: 'Listeners that ended and were replaced, by how they ended',
    type: 'counter',
    labels: ['reason'],
    read: ({ replaced }) => byName({ ...NO_RESTARTS, ...Object.fromEntries(replaced) }),
  },
  {
    name: 'taskapi_listener_scrape_stale',
    help: '1 where the listener did not answer in time, so that what it had counted earlier is shown',
    type: 'gauge',
    labels: ['listener'],
    read: ({ stale }) => [...stale].map(([name, isStale]) => [[name], Number(isStale)]),
  },
  {
    name: 'taskapi_memory_limit_bytes',
    help: 'What all processes of the service may use: the limit of the cgroup, or the memory of the machine',
    type: 'gauge',
    labels: [],
    read: ({ memoryBytes }) => [[[], memoryBytes]],
  },
  {
    name: 'taskapi_process_start_time_seconds',
    help: 'When the process that the user started was started, in seconds since 1970; counters begin then',
    type: 'gauge',
    labels: [],
    read: () => [[[], performance.timeOrigin / 1000]],
  },
]

/** Every metric, in the order of the endpoint and of the documents. */
export const METRICS: readonly Metric<never>[] = [...LISTENER_METRICS, ...SERVICE_METRICS]

function byOperation(
  { context }: ListenerSource,
  valueOf: (lane: Lane) => number | Histogram,
): Reading[] {
  return Array.from(context.queue.lanes, (lane) => [[lane.operation.name], valueOf(lane)])
}
