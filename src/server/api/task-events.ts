// Runs in listeners. What the log says of tasks where that is asked for: who changed which, and never what is in it.
import type { Logger } from '../observe/log.ts'
import type { TraceContext } from '../observe/trace-context.ts'

/** Names are stable: whoever counts or alerts relies on them. */
const MESSAGES = {
  task_created: 'Task created',
  task_updated: 'Task updated',
  task_deleted: 'Task deleted',
} as const

export type TaskEvent = keyof typeof MESSAGES

/** The request that it is about. */
interface Source {
  readonly requestId: string
  readonly caller: string
  readonly trace: TraceContext | undefined
}

export type ReportTask = (event: TaskEvent, source: Source, taskId: string) => void

/** Makes the function that logs them: each has a line of its own. */
export function createTaskReports(log: Logger): ReportTask {
  return (event, { requestId: request_id, caller: user_id, trace }, id) => {
    const ids = { request_id, trace_id: trace?.traceId, user_id, task_id: id.toLowerCase() }
    log.info({ event, ...ids }, MESSAGES[event])
  }
}
