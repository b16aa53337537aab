// Runs in the process that the user started. How the help of the commands looks.
import { Command, Help } from 'commander'
import { HELP_COLUMNS, renderNames } from '../config/docs.ts'

const INDENT = '  '
const GAP = '  '

/** A command line as it is typed, and what it is for. */
export type Examples = Readonly<Record<string, string>>

/** Below the list of commands: what they need, in what fits on one screen together with them. */
export function renderEnd(examples: Examples): string {
  return [
    renderExamples(examples),
    'Settings, from the environment or a .env file ("taskapi settings" explains them):',
    renderNames(),
    '"taskapi" stands for "npm start -s --", or for "node dist/server/main.cjs".',
  ].join('\n\n')
}

export function renderExamples(examples: Examples): string {
  const lines = Object.entries(examples)
  const width = Math.max(...lines.map(([line]) => line.length))
  return [
    'Examples:',
    ...lines.map(([line, purpose]) => `${INDENT}${line.padEnd(width)}${GAP}${purpose}`),
  ].join('\n')
}

export function createProgram(name: string): Command {
  return new Command(name)
    .configureHelp({ helpWidth: HELP_COLUMNS, formatHelp })
    .showHelpAfterError(
      '\nSee "taskapi --help". Settings are no options: they come from the environment or a .env file.',
    )
}

/** The list of commands has the commands of commands as well; suggestions after a typo have not. */
function formatHelp(command: Command, helper: Help): string {
  const term = (sub: Command) => helper.subcommandTerm(sub)
  const deep: Help = Object.assign(Object.create(helper), {
    visibleCommands: (of: Command) =>
      helper.visibleCommands(of).flatMap((sub) => [sub, ...sub.commands]),
    subcommandTerm: (sub: Command) =>
      sub.parent && sub.parent !== command ? `${sub.parent.name()} ${term(sub)}` : term(sub),
  })
  return Help.prototype.formatHelp.call(deep, command, deep)
}
