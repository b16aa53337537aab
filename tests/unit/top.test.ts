// What the command `top` makes of two readings of a node's metrics.
import { stripVTControlCharacters } from 'node:util'
import { expect, test } from 'vitest'
import { compareReadings, type Figures } from '../../src/server/cli/top-figures.ts'
import { findQuantile, parseExposition, select } from '../../src/server/cli/top-reading.ts'
import { renderScreen } from '../../src/server/cli/top-screen.ts'

const BEFORE = `# HELP taskapi_build_info What runs
# TYPE taskapi_build_info gauge
taskapi_build_info{version="1.2.3",node="22.23.0",uws="20.69.0"} 1
taskapi_http_requests_in_flight{listener="1"} 0
taskapi_http_requests_in_flight{listener="2"} 0
taskapi_http_requests_total{listener="1",method="GET",route="/api/v1/tasks/:id",status="200"} 1000
taskapi_http_requests_total{listener="2",method="GET",route="/api/v1/tasks/:id",status="200"} 5000
`
const AFTER = `taskapi_build_info{version="1.2.3",node="22.23.0",uws="20.69.0"} 1
taskapi_http_requests_in_flight{listener="1"} 3
taskapi_http_requests_in_flight{listener="2"} 4
taskapi_http_requests_total{listener="1",method="GET",route="/api/v1/tasks/:id",status="200"} 3000
taskapi_http_requests_total{listener="2",method="GET",route="/api/v1/tasks/:id",status="200"} 200
taskapi_http_requests_total{listener="2",method="GET",route="/api/v1/tasks/:id",status="503"} 20
taskapi_http_requests_total{listener="2",method="POST",route="/api/v1/tasks",status="201"} 2400
taskapi_http_request_duration_seconds_bucket{listener="1",le="0.001"} 1000
taskapi_http_request_duration_seconds_bucket{listener="1",le="0.002"} 2000
taskapi_http_request_duration_seconds_bucket{listener="1",le="+Inf"} 2000
taskapi_http_shed_total{listener="2",reason="queue_full"} 20
taskapi_http_shed_total{listener="2",reason="memory"} 0
taskapi_db_batch_calls_sum{listener="1",operation="find_task"} 2000
taskapi_db_batch_calls_count{listener="1",operation="find_task"} 200
taskapi_db_queue_wait_seconds_bucket{listener="1",operation="find_task",le="0.001"} 0
taskapi_db_queue_wait_seconds_bucket{listener="1",operation="find_task",le="0.003"} 2000
taskapi_db_queue_wait_seconds_bucket{listener="1",operation="find_task",le="+Inf"} 2000
taskapi_db_queue_calls{listener="1",operation="find_task"} 7
taskapi_event_loop_utilization{listener="1"} 0.25
taskapi_event_loop_utilization{listener="2"} 0.5
taskapi_resident_bytes{listener="1"} 14000000
taskapi_resident_bytes{listener="2"} 16000000
`

const figures = compareReadings(parseExposition(BEFORE), parseExposition(AFTER), 2)

/** Without the colours that a terminal gets. */
function render(shown: Figures): string[] {
  return renderScreen(shown, '127.0.0.1:9101').map(stripVTControlCharacters)
}

test('rates are per second, and a listener that was replaced has begun again at zero', () => {
  expect(figures.listeners['1']).toMatchObject({ requests_per_second: 1000, shed_per_second: 0 })
  expect(figures.listeners['2']).toMatchObject({ requests_per_second: 1310, shed_per_second: 10 })
  expect(figures.total).toMatchObject({
    requests_per_second: 2310,
    in_flight: 7,
    event_loop_busy: 0.5,
    resident_bytes: 30_000_000,
  })
  expect(figures.shed).toEqual({ queue_full: 10 })
})

test('latencies are those of the time between the readings, and null where nothing was measured', () => {
  expect(figures.total.p50_ms).toBeCloseTo(1)
  expect(figures.total.p99_ms).toBeCloseTo(1.98)
  expect(figures.listeners['2']).toMatchObject({ p99_ms: null, queue_wait_p99_ms: null })
})

test('routes and operations are told apart, the busiest first', () => {
  expect(figures.routes).toEqual([
    {
      method: 'POST',
      route: '/api/v1/tasks',
      requests_per_second: 1200,
      errors_per_second: 0,
    },
    {
      method: 'GET',
      route: '/api/v1/tasks/:id',
      requests_per_second: 1110,
      errors_per_second: 10,
    },
  ])
  expect(figures.operations).toEqual([
    {
      operation: 'find_task',
      calls_per_second: 1000,
      calls_per_statement: 10,
      queue_wait_p50_ms: expect.closeTo(2),
      queue_wait_p99_ms: expect.closeTo(2.98),
      statement_p99_ms: null,
      waiting: 7,
      in_flight: 0,
    },
  ])
})

test('the screen has 80 columns, whatever the figures', () => {
  const large = AFTER.replaceAll(/ (\d+)$/gm, ' $100').replaceAll('/tasks/:id', '/a'.repeat(90))
  for (const text of [BEFORE, AFTER, large]) {
    const shown = compareReadings(parseExposition(BEFORE), parseExposition(text), 1)
    const lines = render(shown)
    expect(lines.filter((line) => line.length > 80)).toEqual([])
  }
})

test('the screen shows a line for all, for each listener, operation and route, and why requests are shed', () => {
  const lines = render({ ...figures, at: '2026-01-02T03:04:05.678Z' })
  expect(lines.join('\n')).toMatchInlineSnapshot(`
    "taskapi 1.2.3 at 127.0.0.1:9101                                     03:04:05 UTC

    listener  requests/s p50 ms p99 ms  shed/s in flight wait p99 batch  busy     MB
    all            2,310   1.00   1.98      10         7     2.98  10.0  50 %     30
    1              1,000   1.00   1.98       0         3     2.98  10.0  25 %     14
    2              1,310      -      -      10         4        -     -  50 %     16
    shed: queue_full 10/s

    operation (ms)            calls/s  batch waiting wait p50 wait p99 statement p99
    find_task                   1,000   10.0       7     2.00     2.98             -

    route                                                       requests/s     5xx/s
    POST /api/v1/tasks                                               1,200         0
    GET /api/v1/tasks/:id                                            1,110        10"
  `)
})

test('of many listeners, the busiest are shown', () => {
  const one = figures.total
  const listeners = Object.fromEntries(
    Array.from({ length: 20 }, (_, index) => [
      String(index + 1),
      { ...one, requests_per_second: index === 4 ? 1 : 100 + index },
    ]),
  )
  const lines = render({ ...figures, listeners })
  const names = lines.flatMap((line) => /^(\d+) /.exec(line)?.[1] ?? [])
  expect(names).toEqual(['13', '14', '15', '16', '17', '18', '19', '20'])
})

test('labels are read as the format escapes them', () => {
  const reading = parseExposition(
    'some_metric{path="C:\\\\\\"x\\"\\n",other="a,b} 1"} +Inf\nother 2e3',
  )
  expect([...reading.values()]).toEqual([
    { name: 'some_metric', labels: { path: 'C:\\"x"\n', other: 'a,b} 1' }, value: Infinity },
    { name: 'other', labels: {}, value: 2000 },
  ])
})

test('a quantile beyond the last bound is that bound', () => {
  const reading = parseExposition(
    'm_bucket{le="0.5"} 1\nm_bucket{le="10"} 1\nm_bucket{le="+Inf"} 4',
  )
  const buckets = select(reading.values(), 'm_bucket')
  expect(findQuantile(0.99, buckets)).toBe(10)
  expect(findQuantile(0.25, buckets)).toBe(0.5)
  expect(findQuantile(0.5, [])).toBeUndefined()
})
