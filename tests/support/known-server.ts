// A server whose behaviour is known, for tests of what measures servers. Runs in its own process:
//   node known-server.ts '{"delayMs":20,"slowEvery":50,"slowMs":100,"stallAtMs":0,"stallMs":0,"failEvery":0}'
// Prints its port. Its delays are right to a few hundredths of a millisecond, which timers could not do.
import { createServer, type Socket } from 'node:net'

export interface KnownBehaviour {
  /** Time from request to answer. */
  delayMs: number
  /** One in this many requests takes `slowMs` instead; 0 for none. */
  slowEvery: number
  slowMs: number
  /** Once, this long after the first request, the whole process stands still for `stallMs`. */
  stallAtMs: number
  stallMs: number
  /** One in this many requests is answered with 500; 0 for none. */
  failEvery: number
}

const NAP_MS = 0.02
const behaviour: KnownBehaviour = JSON.parse(process.argv[2] ?? '{}')
const nap = new Int32Array(new SharedArrayBuffer(4))
const waiting: { socket: Socket; dueMs: number; status: string }[] = []
let requests = 0
let stallAt = Number.POSITIVE_INFINITY

const server = createServer((socket) => {
  socket.setNoDelay(true)
  socket.on('error', () => undefined)
  socket.on('data', () => {
    const now = performance.now()
    requests += 1
    if (requests === 1 && behaviour.stallMs > 0) stallAt = now + behaviour.stallAtMs
    const slow = behaviour.slowEvery > 0 && requests % behaviour.slowEvery === 0
    const fails = behaviour.failEvery > 0 && requests % behaviour.failEvery === 0
    waiting.push({
      socket,
      dueMs: now + (slow ? behaviour.slowMs : behaviour.delayMs),
      status: fails ? '500 Internal Server Error' : '200 OK',
    })
  })
})

server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  process.stdout.write(`${typeof address === 'object' && address ? address.port : 0}\n`)
})
process.on('SIGTERM', () => process.exit(0))
turn()

function turn(): void {
  const now = performance.now()
  if (now >= stallAt) {
    stallAt = Number.POSITIVE_INFINITY
    Atomics.wait(nap, 0, 0, behaviour.stallMs)
  }
  for (let index = waiting.length - 1; index >= 0; index -= 1) {
    const entry = waiting[index]
    if (!entry || entry.dueMs > now) continue
    waiting.splice(index, 1)
    entry.socket.write(
      `HTTP/1.1 ${entry.status}\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n{"status":"ok"}`,
    )
  }
  Atomics.wait(nap, 0, 0, NAP_MS)
  setImmediate(turn)
}
