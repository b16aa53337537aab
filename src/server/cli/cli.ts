// Runs in the process that the user started, only when it was given arguments. The list of commands.
import { Command, InvalidArgumentError } from 'commander'
import { HELP_COLUMNS, renderHelp } from '../config/docs.ts'
import { VERSION } from '../root.ts'
import { backUp } from './backup.ts'
import { printConfig } from './config.ts'
import { develop } from './dev.ts'
import { writeDocs } from './docs.ts'
import { checkHealth } from './healthcheck.ts'
import { applyMigrations, printMigrationStatus } from './migrate.ts'
import { printDocument } from './openapi.ts'
import { restore } from './restore.ts'
import { seed } from './seed.ts'

/** Of 32 bits. */
const WHOLE_NUMBER_MAX = 2 ** 32 - 1

export interface CliOptions {
  /** Starts the service; resolves when it is up. */
  serve: () => Promise<void>
  /** Module that a process of the service runs. */
  entry: string
}

/** Runs the command that the arguments name. Rejects when it fails; commander ends the process over bad arguments. */
export async function runCli(options: CliOptions): Promise<void> {
  const program = new Command('taskapi')
    .description('A task-management API on uWebSockets.js and PostgreSQL')
    .version(VERSION)
    .configureHelp({ helpWidth: HELP_COLUMNS })
    .addHelpText('after', `\n${renderHelp()}`)
  addServiceCommands(program, options)
  addDatabaseCommands(program)
  addDocumentCommands(program)
  await program.parseAsync()
}

function addServiceCommands(program: Command, { serve, entry }: CliOptions): void {
  program.command('serve').description('start the service, as without a command').action(serve)
  program
    .command('dev')
    .description('serve the sources, and start again when they change')
    .action(() => develop(entry))
  program
    .command('healthcheck')
    .description('ask the running service for /health, and exit with 0 when it answers 200')
    .option('--ready', 'ask for /ready instead', false)
    .action(checkHealth)
  program
    .command('config')
    .description('print every setting in force and where it comes from; secrets are withheld')
    .option('--json', 'print an object for scripts', false)
    .action(printConfig)
}

function addDatabaseCommands(program: Command): void {
  program
    .command('migrate')
    .description('apply pending migrations and exit')
    .action(applyMigrations)
    .command('status')
    .description('print which migrations are applied, and exit with 1 when it is not all of them')
    .option('--json', 'print JSON', false)
    .action(printMigrationStatus)
  program
    .command('backup')
    .description('write every account and task of one moment to a file')
    .option('--output <file>', 'compressed when its name ends in .gz; - is standard output', '-')
    .action(backUp)
  program
    .command('restore')
    .description('put a backup into an empty database')
    .argument('<file>', 'compressed or not; - is standard input')
    .action(restore)
  program
    .command('seed')
    .description('add made-up accounts and tasks, as a year of use would leave them')
    .option('--users <count>', 'how many accounts', wholeNumber, 100)
    .option(
      '--tasks <count>',
      'how many tasks, most of them of a few accounts',
      wholeNumber,
      10_000,
    )
    .option('--seed <number>', 'the same number makes the same rows', wholeNumber, 1)
    .action(seed)
}

function wholeNumber(text: string): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN
  if (value <= WHOLE_NUMBER_MAX) return value
  throw new InvalidArgumentError(`Expected a whole number up to ${WHOLE_NUMBER_MAX}.`)
}

function addDocumentCommands(program: Command): void {
  program.command('openapi').description('print the OpenAPI document').action(printDocument)
  program
    .command('docs')
    .description('write the generated parts of README.md, docs and package.json, and .env.example')
    .option('--check', 'only check that they are up to date', false)
    .action(writeDocs)
}
