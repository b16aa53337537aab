// Runs in every process. The levels of the log: one for all modules, and others for some.
import type { Kind } from './kinds.ts'

const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const
const MODULES = ['process', 'http', 'api', 'db', 'workers'] as const
const LEVEL_DEFAULT = 'info'
/** What a level without a module is for. */
const ALL = 'all modules'

type Level = (typeof LEVELS)[number]
type Module = (typeof MODULES)[number]

/** The least severe level that each module writes. */
export type Levels = Readonly<Record<Module, Level>>

/** A list such as `info,db=debug,http=warn`, in any order. */
export const logLevels: Kind<Levels> = {
  expected: `a level (${LEVELS.join(', ')}), levels of modules (${MODULES.join(', ')}), or both, such as info,db=debug`,
  parse: (text) => {
    const read = readLevels(text)
    return typeof read === 'string' ? undefined : { value: read }
  },
  explain: (text) => {
    const read = readLevels(text)
    return typeof read === 'string' ? read : undefined
  },
}

/** The levels that `text` means, or what is wrong with it. */
function readLevels(text: string): Levels | string {
  const named = new Map<string, Level>()
  for (const part of text.toLowerCase().split(',')) {
    const [, name = ALL, word = ''] = /^(?:([^=]*)=)?(.*)$/.exec(part) ?? []
    const module = name.trim()
    const level = LEVELS.find((candidate) => candidate === word.trim())
    if (!level) return `${JSON.stringify(word.trim())} is not a level`
    if (module !== ALL && !MODULES.some((known) => known === module)) {
      return `${JSON.stringify(module)} is not a module`
    }
    if (named.has(module)) return `there are two levels for ${module}`
    named.set(module, level)
  }
  const others = named.get(ALL) ?? LEVEL_DEFAULT
  const levels = MODULES.map((module) => [module, named.get(module) ?? others] as const)
  return Object.freeze(Object.fromEntries(levels) as Record<Module, Level>)
}
