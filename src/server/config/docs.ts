// Runs in commands. The settings as people read them.
import { type Setting, settingEntries } from './settings.ts'
import { fileVariable } from './sources.ts'

export const HELP_COLUMNS = 100
const HELP_INDENT = 2
/** Between the names and what is said about them. */
const HELP_GAP = 2

/** The names of the settings, in lines of the help. */
export function renderNames(): string {
  const names = settingEntries.map(([name]) => name).join(', ')
  const indent = ' '.repeat(HELP_INDENT)
  const lines = wrap(names, HELP_COLUMNS - HELP_INDENT)
  return lines.map((line) => indent + line).join('\n')
}

/** The settings for a terminal: the names on the left, all about each on the right. */
export function renderSettings(): string {
  const nameWidth = Math.max(...settingEntries.map(([name]) => name.length))
  const textColumn = HELP_INDENT + nameWidth + HELP_GAP
  const rows = settingEntries.map(([name, setting]) => {
    const lines = describe(setting).flatMap((text) => wrap(text, HELP_COLUMNS - textColumn))
    const label = `${' '.repeat(HELP_INDENT)}${name}`.padEnd(textColumn)
    return `${label}${lines.join(`\n${' '.repeat(textColumn)}`)}`
  })
  return [
    'Settings, from the environment or a .env file:',
    ...rows,
    wrap(plain(describeFiles()), HELP_COLUMNS).join('\n'),
  ].join('\n\n')
}

/** The settings as a `.env.example` file: every one, commented out, at its default. */
export function renderEnvExample(): string {
  const blocks = settingEntries.map(
    ([name, { description, kind, default: preset = '' }]) =>
      `# ${plain(description)}; ${kind.expected}\n#${name}=${preset}\n`,
  )
  return [`# ${plain(describeFiles())}\n`, ...blocks].join('\n')
}

/** The settings as a Markdown table. */
export function renderMarkdown(): string {
  const rows = settingEntries.map(([name, { description, kind, default: text }]) => {
    const preset = text === undefined ? '' : `\`${text}\``
    return `| \`${name}\` | ${preset} | ${description} | ${kind.expected} |`
  })
  const table = ['| name | default | what it is | accepted |', '|---|---|---|---|', ...rows]
  return [table.join('\n'), describeFiles()].join('\n\n')
}

/** The words of `text` in lines of at most `width` characters; a longer word has a line to itself. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = []
  for (const word of text.split(' ')) {
    const line = lines.at(-1)
    if (line !== undefined && line.length + 1 + word.length <= width) {
      lines[lines.length - 1] = `${line} ${word}`
    } else lines.push(word)
  }
  return lines
}

function describe({ description, kind, default: preset }: Setting<unknown>): string[] {
  const lines = [plain(description), `Accepted: ${kind.expected}`]
  return preset === undefined ? lines : [...lines, `Default: ${preset}`]
}

function describeFiles(): string {
  const secrets = settingEntries.filter(([, { kind }]) => kind.secret)
  const files = secrets.map(([name]) => `\`${fileVariable(name)}\``)
  const list = `${files.slice(0, -1).join(', ')} or ${files.at(-1)}`
  return `${list} may name a file that holds the secret instead; one line break at its end is dropped.`
}

function plain(markdown: string): string {
  return markdown.replaceAll('`', '')
}
