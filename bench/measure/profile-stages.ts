// Turns a CPU profile of V8 into the stages of a request.

/** The part of V8's CPU profile format that is used. */
export interface CpuProfile {
  nodes: { id: number; callFrame: { functionName: string; url: string } }[]
  samples: number[]
  timeDeltas: number[]
}

/** CPU of one stage of a scenario, in microseconds per request. */
export interface StageTime {
  scenario: string
  stage: string
  us: number
}

const DRIVER_WRITES = new Set(['writeBuffer', 'writev', 'writeUtf8String', 'writeLatin1String'])

/** A sample belongs to the first stage that matches. */
const STAGES: readonly [stage: string, matches: (name: string, url: string) => boolean][] = [
  ['garbage collection', (name) => name === '(garbage collector)'],
  ['write to PostgreSQL', (name) => DRIVER_WRITES.has(name)],
  ['write to the client', (name, url) => url.endsWith('/exchange.ts') && name === '#write'],
  ['wire client', (_, url) => url.includes('/src/db/wire/')],
  ['rows to JSON', (_, url) => url.endsWith('/db/row.ts')],
  ['batches and statements', (_, url) => url.includes('/src/db/')],
  ['token', (_, url) => url.endsWith('/tokens.ts') || url.includes('/node_modules/fast-jwt/')],
  ['exchange, routes, validation', (_, url) => url.includes('/src/server/')],
  ['streams and buffers of Node', (_, url) => url.startsWith('node:')],
  ['native code, unnamed', () => true],
]

/** Share of the busy time per stage; the sum is 1. */
export function groupByStage({ nodes, samples, timeDeltas }: CpuProfile): Map<string, number> {
  const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]))
  const times = new Map<string, number>(STAGES.map(([stage]) => [stage, 0]))
  let busy = 0
  for (const [index, id] of samples.entries()) {
    const { functionName = '', url = '' } = frames.get(id) ?? {}
    if (functionName === '(idle)') continue
    const [stage = ''] = STAGES.find(([, matches]) => matches(functionName, url)) ?? []
    const time = timeDeltas[index] ?? 0
    busy += time
    times.set(stage, (times.get(stage) ?? 0) + time)
  }
  return new Map([...times].map(([stage, time]) => [stage, time / Math.max(1, busy)]))
}
