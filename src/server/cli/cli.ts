// Runs in the process that the user started, only when it was given arguments. The list of commands.
import { Command } from 'commander'
import { renderHelp } from '../config/docs.ts'
import { VERSION } from '../root.ts'
import { develop } from './dev.ts'
import { writeDocs } from './docs.ts'
import { applyMigrations } from './migrate.ts'
import { printDocument } from './openapi.ts'

export interface CliOptions {
  /** Starts the service; resolves when it is up. */
  serve: () => Promise<void>
  /** Module that a process of the service runs. */
  entry: string
}

/** Runs the command that the arguments name. Rejects when it fails; commander ends the process over bad arguments. */
export async function runCli({ serve, entry }: CliOptions): Promise<void> {
  const program = new Command('taskapi')
    .description('A task-management API on uWebSockets.js and PostgreSQL')
    .version(VERSION)
    .addHelpText('after', `\n${renderHelp()}`)
  program.command('serve').description('start the service, as without a command').action(serve)
  program
    .command('migrate')
    .description('apply pending migrations and exit')
    .action(applyMigrations)
  program
    .command('dev')
    .description('serve the sources, and start again when they change')
    .action(() => develop(entry))
  program.command('openapi').description('print the OpenAPI document').action(printDocument)
  program
    .command('docs')
    .description('write the generated parts of README.md and package.json, and .env.example')
    .option('--check', 'only check that they are up to date', false)
    .action(writeDocs)
  await program.parseAsync()
}
