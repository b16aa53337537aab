// Runs in every process. The file that holds a secret, as Docker, Kubernetes and systemd provide it.
import { isUtf8 } from 'node:buffer'
import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs'

const BYTES_MAX = 65_536

/** What was expected of a file, and why this one is not it. Quotes nothing that is in the file. */
export interface Unusable {
  /** The path; withheld when it may be the secret itself, set under the wrong name. */
  readonly shown: string
  readonly expected: string
}

/** The text of the file without its last line break. */
export function readSecretFile(path: string): { text: string } | Unusable {
  if (!/^\.{0,2}\//.test(path)) {
    const shown = `a value of ${Buffer.byteLength(path)} bytes`
    return { shown, expected: 'the path of a file, beginning with / or ./' }
  }
  const shown = JSON.stringify(path)
  try {
    const bytes = readFile(path)
    // A secret is handed to listeners in their environment, which takes no NUL.
    if (!isUtf8(bytes) || bytes.includes(0)) return { shown, expected: 'a text file in UTF-8' }
    return { text: bytes.toString().replace(/\r?\n$/, '') }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const reason = code ?? (error as Error).message
    return { shown, expected: `a readable file of at most ${BYTES_MAX / 1024} KB; ${reason}` }
  }
}

function readFile(path: string): Buffer {
  // Without O_NONBLOCK, a pipe that nobody writes to would never open.
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    const stats = fstatSync(descriptor)
    if (!stats.isFile()) throw new Error('it is not a regular file')
    if (stats.size > BYTES_MAX) throw new Error(`it has ${stats.size} bytes`)
    return readFileSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}
