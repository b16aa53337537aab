// Runs in listeners. Finds a uWebSockets.js binary that loads on this machine.
import { readdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import { presetEnvironment } from '../config/config.ts'
import { DEPENDENCIES } from '../root.ts'

export type Uws = typeof import('uWebSockets.js')
export type { HttpRequest, HttpResponse, TemplatedApp, us_listen_socket } from 'uWebSockets.js'

/** Newest first: 20.69 needs glibc 2.38, 20.51 runs from 2.27 on. */
const CANDIDATES = ['uWebSockets.js', 'uWebSockets.js-compat']

/**
 * Largest request head that uWebSockets.js takes, in bytes. It is above our own limit, because its own answer to
 * a larger head is an HTML page.
 */
const NATIVE_HEAD_BYTES_MAX = 65_536

/** What loads on this machine. */
export interface LoadedUws {
  readonly uws: Uws
  /** Why newer versions do not load here, a line for each. */
  readonly failures: readonly string[]
}

/** Loads the newest version that this machine can load. Throws an error that says what is missing. */
export function loadUws(): Uws {
  return findUws().uws
}

/** As `loadUws`, and says what it has found. */
export function findUws(): LoadedUws {
  // The addon reads it once, while it loads.
  presetEnvironment('UWS_HTTP_MAX_HEADERS_SIZE', String(NATIVE_HEAD_BYTES_MAX))
  const load = createRequire(import.meta.url)
  const failures: string[] = []
  for (const name of CANDIDATES) {
    try {
      // The package is CommonJS, and `require` saves the memory of the ESM loader.
      const uws = load(name) as Uws & { _cfg(key: string): void }
      // Otherwise every answer has a header "uWebSockets: 20".
      uws._cfg('silent')
      return { uws, failures }
    } catch (error) {
      failures.push(`${name}: ${lastLine(error)}`)
    }
  }
  throw new Error(explain(failures))
}

/** The version that `loadUws` has found. */
export function versionOf(uws: Uws): string {
  const load = createRequire(import.meta.url)
  const name = CANDIDATES.find((candidate) => isLoaded(load, candidate, uws)) ?? ''
  // The package does not let its own manifest be read.
  return DEPENDENCIES[name]?.split('@').at(-1) ?? ''
}

function isLoaded(load: NodeJS.Require, name: string, uws: Uws): boolean {
  try {
    return load(name) === uws
  } catch {
    return false
  }
}

/** Node, the machine and its C library, which decide what loads. */
export function describePlatform(): string {
  const { version, versions, platform, arch } = process
  const report = process.report.getReport() as { header?: { glibcVersionRuntime?: string } }
  const glibc = report.header?.glibcVersionRuntime ?? (isMusl() ? 'none (musl)' : 'unknown')
  return `Node ${version} (ABI ${versions.modules}), ${platform}-${arch}, glibc ${glibc}`
}

function explain(failures: string[]): string {
  return [
    'Cannot load uWebSockets.js on this machine',
    `  found: ${describePlatform()}`,
    '  needed: Node 22, 24 or 26 with glibc 2.38 or newer, or Node 22 with glibc 2.27 or newer',
    '  fix: run it with Node 22 (npx -y -p node@22 -c "npm ci && npm start"), not on Alpine;',
    '       after changing the version of Node, run "npm ci" again',
    ...failures.map((failure) => `  tried ${failure}`),
  ].join('\n')
}

function lastLine(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  return message.trim().split('\n').at(-1) ?? ''
}

function isMusl(): boolean {
  try {
    return readdirSync('/lib').some((name) => name.startsWith('ld-musl-'))
  } catch {
    return false
  }
}
