// Two nodes on one database, with the load of a working day: reads, writes, logins, and a client that asks for nonsense.
import { probePort } from '../../src/server/process/claims.ts'
import { type FaultServer, openServer } from '../faults/server.ts'
import { type Client, createClient, register } from '../support/client.ts'
import { type Load, startLoad } from '../support/load.ts'
import { startService } from '../support/service.ts'

const PAUSE_MS = 20
const LOGIN_PAUSE_MS = 500
const ACCOUNTS = 3
const TASKS = '/api/v1/tasks'

export interface Node {
  /** Host and port that Prometheus asks. */
  admin: string
  /** The pid of the process that the user started. */
  pid: number
  /** Ends it without a word. */
  kill(): Promise<void>
  stop(): Promise<void>
}

export interface Nodes {
  database: FaultServer
  nodes: readonly [Node, Node]
  close(): Promise<void>
}

export async function startNodes(): Promise<Nodes> {
  const database = await openServer()
  const nodes = [await startNode(database.url), await startNode(database.url)] as const
  return {
    database,
    nodes,
    close: async () => {
      for (const node of nodes) await node.stop()
      await database.close()
    },
  }
}

async function startNode(databaseUrl: string): Promise<Node> {
  const port = await probePort('127.0.0.1', 0)
  const service = await startService(databaseUrl, { LISTENERS: '2', ADMIN_PORT: String(port) })
  const loads = await startDay(createClient(service.url))
  const end = async (signal: NodeJS.Signals) => {
    await Promise.all(loads.map((load) => load.stop()))
    service.child.kill(signal)
    await service.exited
  }
  return {
    admin: `127.0.0.1:${port}`,
    pid: service.child.pid ?? 0,
    kill: () => end('SIGKILL'),
    stop: () => end('SIGTERM'),
  }
}

async function startDay(client: Client): Promise<Load[]> {
  const { url } = client
  const loads = [startLoad(url, 1, { path: '/nonsense', pauseMs: PAUSE_MS })]
  for (let count = 0; count < ACCOUNTS; count += 1) {
    const { token, email, password } = await register(client)
    const { body: task } = await client.post(TASKS, { title: 'the first' }, { token })
    const read = { token, pauseMs: PAUSE_MS, path: `${TASKS}/${task.id}` }
    const login = { path: '/api/v1/auth/login', body: JSON.stringify({ email, password }) }
    loads.push(
      startLoad(url, 2, read),
      startLoad(url, 1, { ...read, method: 'PATCH', body: '{"priority":"high"}' }),
      startLoad(url, 1, { ...read, path: TASKS }),
      startLoad(url, 1, { ...read, path: TASKS, method: 'POST', body: '{"title":"another"}' }),
      startLoad(url, 1, { ...login, method: 'POST', pauseMs: LOGIN_PAUSE_MS }),
    )
  }
  return loads
}
