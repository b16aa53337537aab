// Runs in every process. The one file that knows where the root is. In src/server and, bundled, in dist/server it is
// equally deep below the root.
import { fileURLToPath } from 'node:url'
import manifest from '../../package.json' with { type: 'json' }

export const VERSION: string = manifest.version
/** A range such as `>=22.18`. */
export const NODE_NEEDED: string = manifest.engines.node
/** The versions of packages, as package.json names them. */
export const DEPENDENCIES: Readonly<Record<string, string>> = manifest.dependencies

export const SOURCES_FOLDER = fileURLToPath(new URL('../../src', import.meta.url))
/** The folder of `NNNN_name.sql` files. */
export const MIGRATIONS_FOLDER = fileURLToPath(new URL('../../migrations', import.meta.url))
export const README_FILE = fileURLToPath(new URL('../../README.md', import.meta.url))
export const OPERATING_FILE = fileURLToPath(new URL('../../docs/operating.md', import.meta.url))
export const ENV_EXAMPLE_FILE = fileURLToPath(new URL('../../.env.example', import.meta.url))
export const MANIFEST_FILE = fileURLToPath(new URL('../../package.json', import.meta.url))
