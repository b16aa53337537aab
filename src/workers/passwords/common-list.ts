// Runs in the hash threads of a listener, and in the build, which puts the text in the place of this file: loading all that
// the package has takes 30 ms and 8 MB, which stay as long as the thread.
import { dictionary } from '@zxcvbn-ts/language-common'

/** Shorter ones are refused for their length. */
const LENGTH_MIN = 8

const all: readonly string[] = dictionary['passwords-common']

/** The most common passwords in lower case, each between two line ends. */
export const commonPasswords = `\n${all
  .filter((password) => password.length >= LENGTH_MIN)
  .join('\n')
  .toLowerCase()}\n`
