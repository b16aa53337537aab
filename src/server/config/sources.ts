// Runs in every process. Where the text of a setting is: in a variable of the environment or of .env, or in the file that
// such a variable names.
import { readSecretFile } from './secret-file.ts'
import { SETTINGS, type Setting, type SettingName, settingEntries } from './settings.ts'

export type Variables = Readonly<Record<string, string | undefined>>

/** Variables, and where they were set. */
export interface Source {
  readonly label: 'the environment' | '.env'
  readonly variables: Variables
}

/** One variable that could not be used. `value` is withheld for secrets. */
export interface ConfigProblem {
  readonly name: string
  readonly value: string
  readonly expected: string
  readonly source: string
}

/** What sets a setting. */
export interface Found {
  /** Empty when there is a problem. */
  readonly text: string
  /** The variable that was read: the setting's own, or one that stands in for it. */
  readonly variable: string
  readonly label: Source['label']
  /** The file that the variable names, where the text was there. */
  readonly file?: string
  readonly problem?: ConfigProblem
}

/** The variable that names the file of a secret. */
export function fileVariable(name: string): string {
  return `${name}_FILE`
}

/** What sets each setting; those that nothing sets are left out. The first source that sets one wins. */
export function findTexts(sources: readonly Source[]): Map<SettingName, Found> {
  const found = new Map<SettingName, Found>()
  for (const [name] of settingEntries) {
    const first = findText(name, sources)
    if (first) found.set(name, first)
  }
  return found
}

function findText(name: SettingName, sources: readonly Source[]): Found | undefined {
  const { kind, fallback }: Setting<unknown> = SETTINGS[name]
  for (const variable of fallback === undefined ? [name] : [name, fallback]) {
    for (const source of sources) {
      const found = kind.secret ? findSecret(variable, source) : findVariable(variable, source)
      if (found) return found
    }
  }
  return undefined
}

/** A variable set to the empty string counts as not set. */
function findVariable(variable: string, { label, variables }: Source): Found | undefined {
  const text = variables[variable]
  return text ? { text, variable, label } : undefined
}

function findSecret(name: string, source: Source): Found | undefined {
  const direct = findVariable(name, source)
  const named = findVariable(fileVariable(name), source)
  if (!named) return direct
  const { variable, label, text: file } = named
  const refuse = (value: string, expected: string): Found => {
    return {
      text: '',
      variable,
      label,
      problem: { name: variable, value, expected, source: label },
    }
  }
  if (direct) return refuse('set', `only one of ${name} and ${variable}`)
  const read = readSecretFile(file)
  return 'text' in read ? { ...read, variable, label, file } : refuse(read.shown, read.expected)
}
