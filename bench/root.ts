// The one file of the benchmarks that knows where the repository's root is.
import { fileURLToPath } from 'node:url'

export const ROOT = fileURLToPath(new URL('..', import.meta.url))
