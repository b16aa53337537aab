// Runs in the process that the user started, with the command `dev`. The service as a child process, which can be killed.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { ListenerMessage } from '../../workers/messages.ts'

export interface ChildOptions {
  /** Module that the process runs. */
  entry: string
  env: NodeJS.ProcessEnv
  onUsable: () => void
  /** It has ended by itself; `reason` is its exit code or its signal. */
  onEnd: (reason: string) => void
}

export interface Child {
  /** Ends it at once, together with its listeners. Resolves when it has ended. */
  kill(): Promise<void>
}

/** Starts the service. It ends by itself when this process has ended, however that happened. */
export function startChild({ entry, env, onUsable, onEnd }: ChildOptions): Child {
  const child = spawn(process.execPath, [entry], {
    env,
    // It leads a process group: a terminal's Ctrl-C reaches only us, and one signal kills its listeners with it.
    detached: true,
    // Its standard error passes through us, because on a terminal every start would print the welcome.
    stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
  })
  child.stderr?.pipe(process.stderr, { end: false })
  let killed = false
  child.on('message', (message: ListenerMessage | null) => {
    if (message?.type === 'usable' && !killed) onUsable()
  })
  // Listeners that outlive their supervisor keep the port for another moment.
  child.once('exit', () => killGroup(child.pid))
  const closed = once(child, 'close').then(([code, signal]) => {
    if (!killed) onEnd(signal ?? `exit code ${code}`)
    killed = true
  })
  return {
    kill: async () => {
      if (!killed) killGroup(child.pid)
      killed = true
      await closed
    },
  }
}

function killGroup(leader: number | undefined): void {
  if (leader === undefined) return
  try {
    process.kill(-leader, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}
