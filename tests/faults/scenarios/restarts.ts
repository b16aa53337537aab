// Two nodes behind a balancer, HAProxy and then nginx, are restarted in turn.
import { setTimeout as delay } from 'node:timers/promises'
import { hasProxy, PROXIES, type ProxyName } from '../../edge/proxy-server.ts'
import { startBalancer } from '../balancer.ts'
import { countErrors, describeAnswers } from '../ledger.ts'
import {
  listFigure,
  type Outcome,
  type Scenario,
  type Stage,
  scaled,
  startNode,
  truthFigures,
  untilReady,
} from '../scenario.ts'
import { startTraffic } from '../traffic.ts'

const RATE_PER_SECOND = 150
const ACCOUNTS = 6
const BALANCERS = Object.keys(PROXIES) as ProxyName[]
/** HAProxy asks every 200 ms whether a node is ready: it has seen the change by then. */
const NOTICE_MS = 1000
/** How long a balancer may leave a node out that is ready again. */
const LEFT_OUT_MS: Readonly<Record<ProxyName, number>> = { haproxy: NOTICE_MS, nginx: 5000 }
const SETTINGS = { DRAIN_DELAY_MS: String(NOTICE_MS), SHUTDOWN_TIMEOUT_MS: '8000' }

export const restarts: Scenario = {
  name: 'restarts',
  promise: 'A restart behind a balancer fails no request',
  isPossible: () => BALANCERS.every(hasProxy),
  run: restartBehindEach,
}

async function restartBehindEach(stage: Stage): Promise<Outcome> {
  const outcomes: Outcome[] = []
  for (const balancer of BALANCERS) outcomes.push(await restartNodes(stage, balancer))
  return {
    done: outcomes.map(({ done }) => done).join('. '),
    figures: outcomes.flatMap(({ figures }) => figures),
  }
}

async function restartNodes(stage: Stage, name: ProxyName): Promise<Outcome> {
  const nodes = await Promise.all([startNode(stage, SETTINGS), startNode(stage, SETTINGS)])
  const balancer = await startBalancer(
    name,
    nodes.map(({ port }) => port),
  )
  try {
    await untilReady(balancer.url)
    const traffic = await startTraffic(balancer.url, ACCOUNTS, { ratePerSecond: RATE_PER_SECOND })
    const { report } = traffic
    const count = scaled(stage, 50, 2)
    const unclean: string[] = []
    let slowestMs = 0
    for (let restart = 0; restart < count; restart += 1) {
      const index = restart % nodes.length
      const node = nodes[index]
      if (!node) throw new Error('There is no node')
      const startedAt = performance.now()
      const exit = await node.stop()
      slowestMs = Math.max(slowestMs, performance.now() - startedAt)
      if (exit.code !== 0) unclean.push(JSON.stringify(exit))
      nodes[index] = await startNode(stage, { ...SETTINGS, SERVER_PORT: String(node.port) })
      await untilReady(node.url)
      await delay(LEFT_OUT_MS[name])
      if (restart % 10 === 9)
        stage.note(`${restart + 1} of ${count}, ${countErrors(report)} errors`)
    }
    await traffic.stop()
    return {
      done: `${count} restarts, in turn, of two nodes behind ${name} at ${RATE_PER_SECOND} requests a second; slowest drain ${Math.round(slowestMs)} ms; ${describeAnswers(report)}`,
      figures: [
        ...truthFigures(report),
        { ...listFigure('requests that failed', report.unanswered), measured: countErrors(report) },
        { name: 'connections refused', measured: report.refused, limit: 0 },
        listFigure('drains that did not end with 0', unclean),
      ].map((figure) => ({ ...figure, name: `behind ${name}: ${figure.name}` })),
    }
  } finally {
    await balancer.close()
    for (const node of nodes) await node.stop()
  }
}
