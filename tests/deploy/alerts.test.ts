// The rules of deploy/alerts.yml, by Prometheus' own tool: each fires when it should and does not when all is well.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { stringify } from 'yaml'
import { hasPrometheus, PROMTOOL, pathOf, readRules, runTool } from './prometheus.ts'

const TARGET = 'job="taskapi",instance="node:9101"'

/** What each metric of a node is like, once a minute: `0+6000x30` grows by 6000. */
type Metrics = Record<string, string>

const FAULTS = `taskapi_http_requests_total{${TARGET},status="500"}`
const RESTARTS = `taskapi_listener_restarts_total{${TARGET},reason="SIGKILL"}`

/** A quiet half hour: a hundred requests per second, each within 5 ms, and no trouble. */
const CALM: Metrics = {
  [`up{${TARGET}}`]: '1x30',
  [`taskapi_ready{${TARGET}}`]: '1x30',
  ...requests('GET', '/api/v1/tasks', '200', '0+6000x30'),
  ...requests('POST', '/api/v1/auth/login', '200', '0+60x30'),
  [FAULTS]: '3x30',
  ...times('http_request_duration', ['route="/api/v1/tasks"'], ['0+6000x30', '0+6000x30']),
  // A password takes longer than the budget of all other requests.
  ...times('http_request_duration', ['route="/api/v1/auth/login"'], ['0x30', '0+60x30']),
  ...times('db_queue_wait', ['operation="find_task"'], ['0+6000x30', '0+6000x30']),
  ...times('password_wait', [], ['0+60x30', '0+60x30']),
  [`taskapi_http_shed_total{${TARGET},reason="queue_full"}`]: '0+6x30',
  [`taskapi_event_loop_utilization{${TARGET},listener="1"}`]: '0.5x30',
  [RESTARTS]: '2x30',
  // As a service has it that was just started.
  [`taskapi_listener_restarts_total{${TARGET},reason="exit code 1"}`]: '_x20 0x10',
  [`taskapi_db_connections_replaced_total{${TARGET},purpose="read"}`]: '1x30',
  [`taskapi_log_lines_dropped_total{${TARGET}}`]: '10x30',
  [`taskapi_resident_bytes{${TARGET},listener="1"}`]: '40000000x30',
  [`taskapi_resident_bytes{${TARGET},listener="2"}`]: '40000000x30',
  [`taskapi_memory_limit_bytes{${TARGET}}`]: '100000000x30',
  [`taskapi_heap_used_bytes{${TARGET},listener="1"}`]: '20000000x30',
  [`taskapi_heap_limit_bytes{${TARGET},listener="1"}`]: '40000000x30',
}

/** What is different when an alert fires. */
const TROUBLE: Record<string, Metrics> = {
  TaskapiNodeDown: { [`up{${TARGET}}`]: '0x30' },
  TaskapiNotReady: { [`taskapi_ready{${TARGET}}`]: '0x30' },
  TaskapiServerErrors: { [FAULTS]: '3+1x30' },
  TaskapiListenerReplaced: {
    [RESTARTS]: '2x25 3x5',
  },
  TaskapiShedding: { [`taskapi_http_shed_total{${TARGET},reason="queue_full"}`]: '0+100x30' },
  TaskapiSlow: times(
    'http_request_duration',
    ['route="/api/v1/tasks"'],
    ['0+5900x30', '0+6000x30'],
  ),
  TaskapiQueueWait: times('db_queue_wait', ['operation="find_task"'], ['0+5900x30', '0+6000x30']),
  TaskapiPasswordWait: times('password_wait', [], ['0+50x30', '0+60x30']),
  TaskapiEventLoopBusy: { [`taskapi_event_loop_utilization{${TARGET},listener="1"}`]: '0.95x30' },
  TaskapiDatabaseConnectionsReplaced: {
    [`taskapi_db_connections_replaced_total{${TARGET},purpose="read"}`]: '1+1x30',
  },
  TaskapiLogLinesDropped: { [`taskapi_log_lines_dropped_total{${TARGET}}`]: '10+1x30' },
  TaskapiMemoryNearLimit: { [`taskapi_memory_limit_bytes{${TARGET}}`]: '85000000x30' },
  TaskapiHeapNearLimit: {
    [`taskapi_heap_used_bytes{${TARGET},listener="1"}`]: '38000000x30',
  },
}

function requests(method: string, route: string, status: string, count: string): Metrics {
  const labels = `method="${method}",route="${route}",status="${status}"`
  return { [`taskapi_http_requests_total{${TARGET},${labels}}`]: count }
}

/** A histogram with what took up to 5 ms, and up to 2 s. */
function times(name: string, labels: string[], [short, all]: [string, string]): Metrics {
  const bucket = (le: string) =>
    `taskapi_${name}_seconds_bucket{${[TARGET, ...labels, `le="${le}"`].join(',')}}`
  return { [bucket('0.005')]: short, [bucket('2')]: all, [bucket('+Inf')]: all }
}

describe.skipIf(!hasPrometheus())(`the alert rules (needs ${PROMTOOL})`, () => {
  let folder: string

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'taskapi-alerts-'))
  })

  afterAll(() => rm(folder, { recursive: true }))

  /** The alerts that fire half an hour later: the tool complains of each, because it is told to expect none. */
  async function findFiring(metrics: Metrics): Promise<string[]> {
    const file = join(folder, 'test.yml')
    const series = Object.entries(metrics).map(([name, values]) => ({ series: name, values }))
    const expectations = (await readRules()).flatMap(({ rules }) =>
      rules.map(({ alert }) => ({ eval_time: '30m', alertname: alert, exp_alerts: [] })),
    )
    const tests = [{ interval: '1m', input_series: series, alert_rule_test: expectations }]
    await writeFile(
      file,
      stringify({ rule_files: [pathOf('alerts.yml')], evaluation_interval: '1m', tests }),
    )
    const outcome = await runTool(PROMTOOL, ['test', 'rules', file]).catch(
      (failure: { stdout: string; stderr: string }) => failure,
    )
    const firing = [...outcome.stderr.matchAll(/alertname: (\w+)/g)].map(([, name = '']) => name)
    if (firing.length === 0) expect(outcome.stderr).not.toContain('FAILED')
    return firing
  }

  test('the files are valid', async () => {
    const { stdout } = await runTool(PROMTOOL, ['check', 'config', pathOf('prometheus.yml')])
    expect(stdout).toContain('SUCCESS')
    expect(stdout).not.toContain('FAILED')
  })

  test('every alert says what it means and what to do', async () => {
    for (const { rules } of await readRules()) {
      for (const { annotations, labels } of rules) {
        expect(Object.keys(annotations)).toEqual(['summary', 'meaning', 'action'])
        expect(['warning', 'critical']).toContain(labels.severity)
      }
    }
  })

  test('no alert fires while all is well', async () => {
    expect(await findFiring(CALM)).toEqual([])
  })

  test('every alert has a test', async () => {
    const names = (await readRules()).flatMap(({ rules }) => rules.map(({ alert }) => alert))
    expect(names).toEqual(Object.keys(TROUBLE))
  })

  test('the first of its kind counts, too: its counter was not there before', async () => {
    const metrics = { ...CALM, [FAULTS]: '_x27 1x3', [RESTARTS]: '_x20 1x10' }
    expect(await findFiring(metrics)).toEqual(['TaskapiServerErrors', 'TaskapiListenerReplaced'])
  })

  test.each(Object.entries(TROUBLE))('%s fires, and no other', async (alert, metrics) => {
    expect(await findFiring({ ...CALM, ...metrics })).toEqual([alert])
  })
})
