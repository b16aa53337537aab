// The files for Prometheus and Grafana in `deploy`, with a real Prometheus that asks two nodes under load.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { childrenOf } from '../faults/server.ts'
import { eventually } from '../support/client.ts'
import { type Panel, readPanels } from './dashboard.ts'
import { type Nodes, startNodes } from './nodes.ts'
import { hasPrometheus, PROMTOOL, type Prometheus, startPrometheus } from './prometheus.ts'

/** On a machine whose CPUs are busy; what is awaited comes sooner or never. */
const PATIENCE_MS = 60_000
const TIMEOUT_MS = 180_000
/** What Grafana would put in for a scrape each second. */
const RATE_INTERVAL = '15s'

describe.skipIf(!hasPrometheus())('Prometheus on the files in deploy (needs prometheus)', () => {
  let nodes: Nodes
  let prometheus: Prometheus

  beforeAll(async () => {
    nodes = await startNodes()
    prometheus = await startPrometheus(nodes.nodes.map(({ admin }) => admin))
  }, TIMEOUT_MS)

  afterAll(async () => {
    await prometheus?.stop()
    await nodes?.close()
  }, TIMEOUT_MS)

  /** Nodes for which the alert fires. */
  async function firing(alert: string): Promise<string[]> {
    const { alerts } = await prometheus.ask('alerts')
    return alerts
      .filter(({ labels, state }: Alert) => labels.alertname === alert && state === 'firing')
      .map(({ labels }: Alert) => labels.instance)
      .sort()
  }

  async function fires(alert: string, instances: string[]): Promise<void> {
    const wanted = JSON.stringify(instances.toSorted())
    const what = `${alert} for ${wanted}`
    await eventually(what, async () => JSON.stringify(await firing(alert)) === wanted, PATIENCE_MS)
  }

  /** The expressions for which there is no number. */
  async function findEmpty(panels: readonly Panel[]): Promise<string[]> {
    const empty: string[] = []
    for (const { title, targets } of panels) {
      for (const { expr } of targets) {
        const series = await prometheus.query(expr)
        const numbers = series.filter(({ value }) => Number.isFinite(Number(value[1])))
        if (numbers.length === 0) empty.push(`${title}: ${expr}`)
      }
    }
    return empty
  }

  test('both nodes are scraped, without a complaint', async () => {
    await eventually(
      'both are up',
      async () => (await prometheus.query('up == 1')).length === 2,
      PATIENCE_MS,
    )
    const { activeTargets } = await prometheus.ask('targets')
    expect(activeTargets).toMatchObject([{ lastError: '' }, { lastError: '' }])
  })

  test('the metrics are as the tool for checking them wants them', async () => {
    const [{ admin }] = nodes.nodes
    const metrics = await fetch(`http://${admin}/metrics`).then((answer) => answer.text())
    const child = spawn(PROMTOOL, ['check', 'metrics'], { stdio: ['pipe', 'ignore', 'pipe'] })
    child.stdin.end(metrics)
    const [complaints] = await Promise.all([text(child.stderr), once(child, 'exit')])
    expect(complaints).toBe('')
  })

  test(
    'every expression of every panel has data',
    async () => {
      const panels = await readPanels(RATE_INTERVAL)
      expect(panels.length).toBeGreaterThan(0)
      let empty: string[] = []
      await eventually(
        'data',
        async () => {
          empty = await findEmpty(panels)
          return empty.length === 0
        },
        PATIENCE_MS,
      ).catch(() => undefined)
      expect(empty).toEqual([])
    },
    TIMEOUT_MS,
  )

  test('every alert rule is evaluated without an error, and those of trouble do not fire', async () => {
    const { groups } = await prometheus.ask('rules')
    const rules: EvaluatedRule[] = groups.flatMap(
      (group: { rules: EvaluatedRule[] }) => group.rules,
    )
    expect(rules.length).toBeGreaterThan(0)
    for (const rule of rules) expect(rule).toMatchObject({ health: 'ok' })
    expect(await firing('TaskapiNodeDown')).toEqual([])
    expect(await firing('TaskapiNotReady')).toEqual([])
    expect(await firing('TaskapiListenerReplaced')).toEqual([])
  })

  test(
    'a listener that is killed is reported for its node',
    async () => {
      const [{ admin, pid }] = nodes.nodes
      process.kill(childrenOf(pid)[0] ?? 0, 'SIGKILL')
      await fires('TaskapiListenerReplaced', [admin])
    },
    TIMEOUT_MS,
  )

  test(
    'a database that is stopped makes both nodes not ready, until it is back',
    async () => {
      await nodes.database.stop()
      await fires(
        'TaskapiNotReady',
        nodes.nodes.map(({ admin }) => admin),
      )
      await nodes.database.start()
      await fires('TaskapiNotReady', [])
    },
    TIMEOUT_MS,
  )

  test(
    'a node that is killed is down, and the other is not',
    async () => {
      const [, second] = nodes.nodes
      await second.kill()
      await fires('TaskapiNodeDown', [second.admin])
    },
    TIMEOUT_MS,
  )
})

interface Alert {
  labels: Record<string, string>
  state: string
}

interface EvaluatedRule {
  name: string
  health: string
}
