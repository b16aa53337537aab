// Runs in the process that the user started: the command `docs`, which writes what can be said once and read in many places.
import { readFile, writeFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { renderEnvExample, renderMarkdown } from '../config/docs.ts'
import { transcript } from '../process/welcome.ts'
import { ENV_EXAMPLE_FILE, README_FILE } from '../root.ts'

/** Writes the generated parts, or with `check` rejects when one is out of date. */
export async function writeDocs({ check }: { check: boolean }): Promise<void> {
  const readme = await readFile(README_FILE, 'utf8')
  const parts = {
    transcript: renderShell(transcript('http://localhost:8080')),
    settings: renderMarkdown(),
  }
  const wanted = new Map([
    [README_FILE, Object.entries(parts).reduce(fillPlace, readme)],
    [ENV_EXAMPLE_FILE, renderEnvExample()],
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
  if (!place.test(page)) throw new Error(`README.md has lost its place for the ${name}`)
  return page.replace(place, (_, opening, closing) => `${opening}\n${text}\n\n${closing}`)
}

function renderShell(commands: string): string {
  return `\`\`\`sh\n${commands}\n\`\`\``
}
