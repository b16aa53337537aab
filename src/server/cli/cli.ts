// Runs in the process that the user started, only when it was given arguments.
import { readFile, writeFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { Command } from 'commander'
import { describeError } from '../../db/failures.ts'
import { readConfig } from '../config/config.ts'
import { renderEnvExample, renderHelp, renderMarkdown } from '../config/docs.ts'
import { createLog } from '../observe/log.ts'
import { startLocalDatabase } from '../process/local-database.ts'
import { applyMigrations } from '../process/migrations.ts'
import { transcript } from '../process/welcome.ts'
import { ENV_EXAMPLE_FILE, README_FILE, VERSION } from '../root.ts'

/** Runs the command that the arguments name. Rejects when it fails. */
export async function runCli(serve: () => Promise<void>): Promise<void> {
  const program = new Command('taskapi')
    .description('A task-management API on uWebSockets.js and PostgreSQL')
    .version(VERSION)
    .addHelpText('after', `\n${renderHelp()}`)
  program
    .command('serve')
    .description('start the service; what happens without a command')
    .action(serve)
  program.command('migrate').description('apply pending migrations and end').action(migrateOnly)
  program.command('openapi').description('print the OpenAPI document').action(printDocument)
  program
    .command('docs')
    .description('write the generated parts of README.md, and .env.example')
    .option('--check', 'only check that they are there', false)
    .action(writeDocs)
  await program.parseAsync()
}

async function migrateOnly(): Promise<void> {
  const config = readConfig()
  const log = createLog({ level: config.LOG_LEVEL, role: 'migrate', describeError })
  const { signal } = new AbortController()
  const local =
    config.DATABASE_URL === undefined
      ? await startLocalDatabase(config, log.logger, signal)
      : undefined
  try {
    await applyMigrations({ ...config, ...local?.settings }, log.logger, signal)
    log.logger.info('Migrations are up to date')
  } finally {
    await local?.drain()
    await log.close()
  }
}

async function printDocument(): Promise<void> {
  const { buildDocument } = await import('../http/openapi.ts')
  const { routes } = await import('../http/install.ts')
  process.stdout.write(`${JSON.stringify(buildDocument(routes, VERSION), null, 2)}\n`)
}

async function writeDocs({ check }: { check: boolean }): Promise<void> {
  const readme = await readFile(README_FILE, 'utf8')
  const withSettings = fillPlace(readme, 'settings', renderMarkdown())
  const commands = `\`\`\`sh\n${transcript('http://localhost:8080')}\n\`\`\``
  const wanted = new Map([
    [README_FILE, fillPlace(withSettings, 'transcript', commands)],
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
function fillPlace(page: string, name: string, text: string): string {
  const place = new RegExp(`(<!-- ${name} -->\\n)[^]*?(<!-- /${name} -->)`)
  if (!place.test(page)) throw new Error(`README.md has lost its place for the ${name}`)
  return page.replace(place, (_, opening, closing) => `${opening}\n${text}\n\n${closing}`)
}
