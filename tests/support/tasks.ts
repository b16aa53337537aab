// The operations on tasks for tests without HTTP: each call belongs to an account and has its own deadline.
import type { AccountCall, Queue } from '../../src/db/queue.ts'
import {
  deleteTask,
  findTask,
  insertTask,
  type NewTask,
  type Task,
  type TaskChanges,
  updateTask,
} from '../../src/db/tasks.ts'

export interface Tasks {
  find(userId: string, id: string): Promise<Task | undefined>
  insert(userId: string, task: NewTask): Promise<Task>
  update(userId: string, id: string, changes: TaskChanges): Promise<Task | undefined>
  delete(userId: string, id: string): Promise<boolean>
}

/** @param waitMsMax how long each call waits for its turn */
export function tasksOf(queue: Queue, waitMsMax = 10_000): Tasks {
  const from = (caller: string): AccountCall => callOf(caller, waitMsMax)
  return {
    find: async (userId, id) => parse(await findTask(queue, from(userId), id)),
    insert: async (userId, task) => {
      const { json } = await insertTask(queue, from(userId), task)
      return JSON.parse(json.toString())
    },
    update: async (userId, id, changes) =>
      parse(await updateTask(queue, from(userId), id, changes)),
    delete: (userId, id) => deleteTask(queue, from(userId), id),
  }
}

export function callOf(caller: string, waitMsMax = 10_000): AccountCall {
  return { caller, deadlineMs: performance.now() + waitMsMax, ended: false, queuedMs: 0 }
}

function parse(json: Buffer | undefined): Task | undefined {
  return json && JSON.parse(json.toString())
}
