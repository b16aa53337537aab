// A listener whose messages are known, for tests of what supervises listeners. Runs in its own process:
//   node known-listener.ts '{"sends":[{"type":"listening"}],"exitsAfterMs":0}'
// Its last argument counts, so the further arguments of the first listeners make these different from their replacements.
// Ends when it gets `drain`, or when its supervisor has gone.
import { createServer } from 'node:net'

export interface KnownListener {
  /** The messages that it sends at its start, one after the other. */
  sends: unknown[]
  /** How long until it ends by itself, with exit code 3; 0 for never. */
  exitsAfterMs: number
  /** How often it says that its event loop turns; never when this is missing. */
  beatsEveryMs?: number
  /** Shared port on which it greets each connection before it sends its messages. */
  port?: number
}

const { sends, exitsAfterMs, beatsEveryMs, port }: KnownListener = JSON.parse(
  process.argv.at(-1) ?? '{}',
)

if (port) {
  const server = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.end('hello')
  })
  server.listen({ port, host: '127.0.0.1', reusePort: true }, sendAll)
} else {
  sendAll()
}
if (exitsAfterMs > 0) {
  setTimeout(() => {
    process.exitCode = 3
    process.disconnect?.()
  }, exitsAfterMs)
}
if (beatsEveryMs) setInterval(() => process.send?.({ type: 'beat' }), beatsEveryMs)
process.on('disconnect', () => process.exit())
process.on('message', (message: { type: string }) => {
  if (message.type === 'refuse') process.send?.({ type: 'refusing' })
  if (message.type === 'drain') process.exit()
})

function sendAll(): void {
  for (const message of sends) process.send?.(message)
}
