// Runs in commands. The settings as people read them.
import { settingEntries } from './settings.ts'

/** The settings as lines of `--help`. */
export function renderHelp(): string {
  const lines = settingEntries.map(([name, setting]) => {
    const preset = setting.default === undefined ? '' : ` (default ${setting.default})`
    return `  ${name.padEnd(25)}${plain(setting.description)}${preset}`
  })
  return `Settings, from the environment or a .env file:\n${lines.join('\n')}`
}

/** The settings as a `.env.example` file: every one, commented out, at its default. */
export function renderEnvExample(): string {
  const blocks = settingEntries.map(
    ([name, { description, kind, default: preset = '' }]) =>
      `# ${plain(description)}; ${kind.expected}\n#${name}=${preset}\n`,
  )
  return blocks.join('\n')
}

/** The settings as a Markdown table. */
export function renderMarkdown(): string {
  const rows = settingEntries.map(([name, { description, kind, default: text }]) => {
    const preset = text === undefined ? '' : `\`${text}\``
    return `| \`${name}\` | ${preset} | ${description} | ${kind.expected} |`
  })
  return ['| name | default | what it is | accepted |', '|---|---|---|---|', ...rows].join('\n')
}

function plain(markdown: string): string {
  return markdown.replaceAll('`', '')
}
