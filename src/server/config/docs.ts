// Runs in commands. The settings as people read them.
import { expectation, settingEntries } from './settings.ts'

/** The settings as lines of `--help`. */
export function renderHelp(): string {
  const lines = settingEntries.map(([name, schema]) => {
    const preset = schema.default === undefined ? '' : ` (default ${schema.default})`
    return `  ${name.padEnd(22)}${plain(schema.description)}${preset}`
  })
  return `Settings, from the environment or a .env file:\n${lines.join('\n')}`
}

/** The settings as a `.env.example` file: every one, commented out, at its default. */
export function renderEnvExample(): string {
  const blocks = settingEntries.map(
    ([name, schema]) =>
      `# ${plain(schema.description)}; ${expectation(schema)}\n#${name}=${schema.default ?? ''}\n`,
  )
  return blocks.join('\n')
}

/** The settings as a Markdown table. */
export function renderMarkdown(): string {
  const rows = settingEntries.map(([name, schema]) => {
    const preset = schema.default === undefined ? '' : `\`${schema.default}\``
    return `| \`${name}\` | ${preset} | ${schema.description} | ${expectation(schema)} |`
  })
  return ['| name | default | what it is | accepted |', '|---|---|---|---|', ...rows].join('\n')
}

function plain(markdown: string | undefined): string {
  return (markdown ?? '').replaceAll('`', '')
}
