// Runs in listeners and in the command `seed`. What a password may be, and in which form it is hashed.
import { createPasswordPool } from '../../workers/passwords/pool.ts'
import { type FieldError, invalidRequest } from '../http/problem.ts'

export const PASSWORD_LENGTHS = { minLength: 8, maxLength: 128 }

/**
 * The form that is hashed, so that it does not matter which keyboard or system has typed it: NFKC, one of the two that
 * NIST SP 800-63B names.
 */
export function normalizePassword(password: string): string {
  return password.normalize('NFKC')
}

/** The hash of one password, where there is no listener whose threads could make it. */
export async function hashAlone(password: string): Promise<string> {
  let failure: Error | undefined
  const pool = createPasswordPool({
    threads: 1,
    queueMax: 1,
    onError: (error) => {
      failure = error
    },
  })
  try {
    const call = { client: '', deadlineMs: Number.POSITIVE_INFINITY, ended: false }
    return await pool.hash(call, normalizePassword(password))
  } catch (error) {
    throw failure ?? error
  } finally {
    await pool.close()
  }
}

/** Throws when a new password is one that a guesser would try first. Whether it is a common one, the hash threads know. */
export function checkNewPassword(normalized: string, email: string): void {
  if (Array.from(normalized).length < PASSWORD_LENGTHS.minLength) {
    throw refusedPassword(`Expected at least ${PASSWORD_LENGTHS.minLength} characters in form NFKC`)
  }
  const folded = normalized.toLowerCase()
  const address = email.toLowerCase()
  if (folded === address || folded === address.slice(0, address.lastIndexOf('@'))) {
    throw refusedPassword('Expected a password other than the e-mail address')
  }
}

/** The answer to a common one. */
export function commonPassword() {
  return refusedPassword('Expected a password that is not among the most common ones')
}

function refusedPassword(message: string) {
  const error: FieldError = { pointer: '/password', message }
  return invalidRequest(`Invalid body: ${error.pointer} ${message}`, [error])
}
