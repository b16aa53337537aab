// Runs in the process that the user started, only when it was given arguments. The list of commands.
import { type Command, InvalidArgumentError } from 'commander'
import { VERSION } from '../root.ts'
import { backUp } from './backup.ts'
import { printConfig } from './config.ts'
import { develop } from './dev.ts'
import { writeDocs } from './docs.ts'
import { examine } from './doctor.ts'
import { checkHealth } from './healthcheck.ts'
import { createProgram, type Examples, renderEnd, renderExamples } from './help.ts'
import { applyMigrations, printMigrationStatus } from './migrate.ts'
import { printDocument } from './openapi.ts'
import { restore } from './restore.ts'
import { seed } from './seed.ts'
import { printSettings } from './settings.ts'
import { showTop } from './top.ts'

/** Of 32 bits. */
const WHOLE_NUMBER_MAX = 2 ** 32 - 1

export interface CliOptions {
  /** Starts the service; resolves when it is up. */
  serve: () => Promise<void>
  /** Module that a process of the service runs. */
  entry: string
}

const EXAMPLES: Examples = {
  taskapi: 'serve, with a local PostgreSQL unless DATABASE_URL is set',
  'taskapi doctor': 'when something is wrong, or before it is',
  'taskapi migrate status': 'what the database has of this version',
  'taskapi backup --output tasks.gz': 'every account and task',
  'taskapi help backup': 'all about one command',
}

/** Runs the command that the arguments name. Rejects when it fails; commander ends the process over bad arguments. */
export async function runCli(options: CliOptions): Promise<void> {
  const program = createProgram('taskapi')
    .description('A task-management API on uWebSockets.js and PostgreSQL')
    .version(VERSION)
    .addHelpText('after', `\n${renderEnd(EXAMPLES)}`)
  addServiceCommands(program.commandsGroup('The service:'), options)
  addReports(program.commandsGroup('What is, and what is wrong:'))
  addMigrationCommands(program.commandsGroup('The database:'))
  addDataCommands(program)
  addDocumentCommands(program.commandsGroup('Documents:').helpCommand(true))
  await program.parseAsync()
}

function addServiceCommands(program: Command, { serve, entry }: CliOptions): void {
  program
    .command('serve')
    .description('start the service, as without a command')
    .addHelpText(
      'after',
      showExamples({
        'taskapi serve': 'with a local PostgreSQL, kept in .taskapi',
        'LISTENERS=2 SERVER_PORT=9000 taskapi serve': 'with settings: see "taskapi settings"',
      }),
    )
    .action(serve)
  program
    .command('dev')
    .description('serve the sources, and start again when they change')
    .addHelpText('after', showExamples({ 'npm run dev': 'the same' }))
    .action(() => develop(entry))
}

function addReports(program: Command): void {
  program
    .command('doctor')
    .description('check machine, settings and database, and say what to do about them')
    .option('--json', 'print an object for scripts', false)
    .addHelpText(
      'after',
      showExamples({
        'taskapi doctor': 'with the settings of the service, on its machine, as its user',
        "taskapi doctor --json | jq '.findings[] | select(.fix)'": 'only what needs attention',
      }),
    )
    .action(examine)
  program
    .command('healthcheck')
    .description('ask the running service for /health; exits with 0 when that is well')
    .option('--ready', 'ask for /ready instead', false)
    .addHelpText(
      'after',
      showExamples({
        'taskapi healthcheck': 'whether it lives: otherwise, restart it',
        'taskapi healthcheck --ready':
          'whether it serves: otherwise, the database may be unreachable',
      }),
    )
    .action(checkHealth)
  program
    .command('top')
    .description('show each second what a running service does, in total and per listener')
    .option('--url <url>', 'its admin port, such as http://127.0.0.1:9101; by default ADMIN_PORT')
    .option('--once', 'one second, then the end', false)
    .option('--json', 'print an object each second, for scripts', false)
    .addHelpText(
      'after',
      showExamples({
        'taskapi top': 'of the service with these settings, on this machine',
        'taskapi top --url http://10.0.0.7:9101 --once --json': 'one second of another one',
      }),
    )
    .action(showTop)
  program
    .command('config')
    .description('print every setting in force and where it comes from, without secrets')
    .option('--json', 'print an object for scripts', false)
    .addHelpText(
      'after',
      showExamples({
        'taskapi config': 'a table, and warnings about misspelt names',
        'taskapi config --json | jq .LISTENERS.value': 'one of them',
      }),
    )
    .action(printConfig)
  program
    .command('settings')
    .description('explain every setting: what it is, what is accepted, its default')
    .action(printSettings)
}

function addMigrationCommands(program: Command): void {
  program
    .command('migrate')
    .description('apply pending migrations and exit')
    .addHelpText(
      'after',
      showExamples({
        'taskapi migrate': 'as the owner of the tables',
        'taskapi migrate status': 'what is applied, and what is pending',
      }),
    )
    // Otherwise a misspelt "status" would be one argument too many.
    .allowExcessArguments()
    .action(async (_options: object, command: Command) => {
      const [word] = command.args
      if (word !== undefined) {
        command.error(`error: unknown command 'migrate ${word}'\n(Did you mean migrate status?)`)
      }
      await applyMigrations()
    })
    .command('status')
    .helpGroup('The database:')
    .description('print which migrations are applied; exits with 1 when some are not')
    .option('--json', 'print JSON', false)
    .addHelpText(
      'after',
      showExamples({
        'taskapi migrate status': 'a table',
        'taskapi migrate status --json': 'an array with name, state and appliedAt',
      }),
    )
    .action(printMigrationStatus)
}

function addDataCommands(program: Command): void {
  program
    .command('backup')
    .description('write every account and task of one moment to a file')
    .option('--output <file>', 'compressed when its name ends in .gz; - is standard output', '-')
    .addHelpText(
      'after',
      showExamples({
        'taskapi backup --output tasks.gz': 'while the service runs',
        'taskapi backup | age -r … > tasks.age': 'through a pipe',
      }),
    )
    .action(backUp)
  program
    .command('restore')
    .description('put a backup into an empty database')
    .argument('<file>', 'compressed or not; - is standard input')
    .addHelpText(
      'after',
      showExamples({
        'taskapi restore tasks.gz': 'into DATABASE_URL, or the local PostgreSQL',
        'age -d … tasks.age | taskapi restore -': 'from a pipe',
      }),
    )
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
    .addHelpText(
      'after',
      showExamples({
        'taskapi seed': 'beside what there is',
        'taskapi seed --users 10000 --tasks 1000000': 'for a test of load',
      }),
    )
    .action(seed)
}

function wholeNumber(text: string): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN
  if (value <= WHOLE_NUMBER_MAX) return value
  throw new InvalidArgumentError(`Expected a whole number up to ${WHOLE_NUMBER_MAX}.`)
}

function addDocumentCommands(program: Command): void {
  program
    .command('openapi')
    .description('print the OpenAPI document')
    .addHelpText('after', showExamples({ 'taskapi openapi > openapi.json': 'for a generator' }))
    .action(printDocument)
  program
    .command('docs')
    .description('write the generated parts of README.md, docs, package.json and .env.example')
    .option('--check', 'only check that they are up to date', false)
    .addHelpText('after', showExamples({ 'npm run docs': 'the same' }))
    .action(writeDocs)
}

function showExamples(examples: Examples): string {
  return `\n${renderExamples(examples)}`
}
