// Runs in the hash threads of a listener, nowhere else.
import { setPriority } from 'node:os'
import { hashSync, verifySync } from '@node-rs/argon2'
import type { PasswordTask } from '../messages.ts'
import { isCommonPassword } from './common.ts'
import { PASSWORD_COSTS } from './costs.ts'

/** Added to the listener's nice value: a storm of logins must not slow the reads. */
const NICENESS = 10

try {
  // On Linux this changes the calling thread alone.
  setPriority(0, NICENESS)
} catch {
  // Hashing works at any priority; a sandbox may forbid the change.
}

/** One hash or one verification, about 20 to 60 ms of CPU; `undefined` instead of the hash of a common password. */
export default async function run(task: PasswordTask): Promise<string | boolean | undefined> {
  switch (task.type) {
    case 'hash-uncommon':
      if (await isCommonPassword(task.password)) return undefined
      return hashSync(task.password, PASSWORD_COSTS)
    case 'hash':
      return hashSync(task.password, PASSWORD_COSTS)
    case 'verify':
      return verifySync(task.hash, task.password)
  }
}
