// How a command ends early.

/** The exit code that a shell reports for a process that Ctrl-C ended. */
const EXIT_STOPPED = 130

/**
 * Runs `work`. Ctrl-C and SIGTERM abort its signal. What it throws after that is not an error: the command reports that
 * it has stopped, and ends.
 */
export async function untilStopped(work: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const abort = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => abort.abort())
  try {
    await work(abort.signal)
  } catch (error) {
    if (!abort.signal.aborted) throw error
    process.stderr.write('\nStopped, nothing was written\n')
    process.exitCode = EXIT_STOPPED
  }
}
