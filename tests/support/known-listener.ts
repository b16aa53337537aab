// A listener whose messages are known, for tests of what supervises listeners. Runs in its own process:
//   node known-listener.ts '{"sends":[{"type":"listening"}],"exitsAfterMs":0}'
// Ends when it gets `drain`, or when its supervisor has gone.

export interface KnownListener {
  /** The messages that it sends at its start, one after the other. */
  sends: unknown[]
  /** How long until it ends by itself, with exit code 3; 0 for never. */
  exitsAfterMs: number
}

const { sends, exitsAfterMs }: KnownListener = JSON.parse(process.argv[2] ?? '{}')

for (const message of sends) process.send?.(message)
if (exitsAfterMs > 0) {
  setTimeout(() => {
    process.exitCode = 3
    process.disconnect?.()
  }, exitsAfterMs)
}
process.on('disconnect', () => process.exit())
process.on('message', (message: { type: string }) => {
  if (message.type === 'refuse') process.send?.({ type: 'refusing' })
  if (message.type === 'drain') process.exit()
})
