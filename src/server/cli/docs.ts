// Runs in the process that the user started: the command `docs`, which writes the texts that come from the code.
import { readFile, writeFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { renderEnvExample, renderMarkdown } from '../config/docs.ts'
import { V8_FLAGS } from '../process/heap.ts'
import { METRICS } from '../process/metrics-table.ts'
import { transcript } from '../process/welcome.ts'
import { ENV_EXAMPLE_FILE, MANIFEST_FILE, OPERATING_FILE, README_FILE } from '../root.ts'

const NODE = ['node', ...V8_FLAGS].join(' ')

const PRODUCTION = `\
npm ci && npm run build                                        # once: bundles the service into dist/server
npm prune --omit=dev
DATABASE_URL=… JWT_SECRET=… ${NODE} dist/server/main.cjs`

/** Writes the generated parts, or with `check` rejects when one is out of date. */
export async function writeDocs({ check }: { check: boolean }): Promise<void> {
  const readme = await readFile(README_FILE, 'utf8')
  const parts = {
    production: renderShell(PRODUCTION),
    transcript: renderShell(transcript('http://localhost:8080')),
    settings: renderMarkdown(),
  }
  const wanted = new Map([
    [README_FILE, Object.entries(parts).reduce(fillPlace, readme)],
    [
      OPERATING_FILE,
      fillPlace(await readFile(OPERATING_FILE, 'utf8'), ['metrics', renderMetrics()]),
    ],
    [ENV_EXAMPLE_FILE, renderEnvExample()],
    [MANIFEST_FILE, fillStartScript(await readFile(MANIFEST_FILE, 'utf8'))],
  ])
  for (const [file, text] of wanted) {
    if (!check) await writeFile(file, text)
    else if ((await readFile(file, 'utf8')) !== text) {
      throw new Error(`"${basename(file)}" is out of date: run "npm run docs"`)
    }
  }
}

/** Puts `text` between the marks of `name`. */
function fillPlace(page: string, [name, text]: [string, string]): string {
  const place = new RegExp(`(<!-- ${name} -->\\n)[^]*?(<!-- /${name} -->)`)
  if (!place.test(page)) throw new Error(`A page has lost its marks for the ${name}`)
  return page.replace(place, (_, opening, closing) => `${opening}\n${text}\n\n${closing}`)
}

/** With `exec` a signal for the shell that npm starts reaches the service. */
function fillStartScript(manifest: string): string {
  const place = /(?<="start": ")[^"]*(?=")/
  if (!place.test(manifest)) throw new Error('package.json has lost its script "start"')
  return manifest.replace(place, `exec ${NODE} src/server/main.ts`)
}

/** The metrics as a Markdown table. */
function renderMetrics(): string {
  const rows = METRICS.map(({ name, type, labels, help }) => {
    const names = labels.map((label) => `\`${label}\``).join(', ')
    return `| \`${name}\` | ${type} | ${names} | ${help} |`
  })
  return ['| name | type | labels | what it is |', '|---|---|---|---|', ...rows].join('\n')
}

function renderShell(commands: string): string {
  return `\`\`\`sh\n${commands}\n\`\`\``
}
