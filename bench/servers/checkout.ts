// Other versions of this service: git worktrees in a folder for temporary files, with their packages.
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ROOT } from '../root.ts'

const LOCK = 'package-lock.json'

/** Calls `use` with a function that checks commits out, and removes the checkouts afterwards. */
export async function withCheckouts(
  use: (checkOut: (commit: string) => Promise<string>) => Promise<void>,
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'taskapi-compare-'))
  try {
    await use((commit) => checkOut(folder, commit))
  } finally {
    await rm(folder, { recursive: true, force: true })
    git('worktree', 'prune')
  }
}

/** The commit that a branch, a tag or another expression of git means; `undefined` when there is none. */
export function findCommit(ref: string): string | undefined {
  try {
    return git('rev-parse', '--verify', '--quiet', '--end-of-options', `${ref}^{commit}`)
  } catch {
    return undefined
  }
}

/** A worktree of the commit. It shares our packages when the lock files are the same, else it installs its own. */
async function checkOut(folder: string, commit: string): Promise<string> {
  const path = join(folder, commit)
  if (existsSync(path)) return path
  git('worktree', 'add', '--detach', path, commit)
  if (readFileSync(join(path, LOCK)).equals(readFileSync(join(ROOT, LOCK)))) {
    await symlink(join(ROOT, 'node_modules'), join(path, 'node_modules'))
  } else {
    execFileSync('npm', ['ci', '--ignore-scripts'], { cwd: path, stdio: ['ignore', 2, 2] })
  }
  return path
}

function git(...args: string[]): string {
  return execFileSync('git', ['-C', ROOT, ...args], { encoding: 'utf8', stdio: 'pipe' }).trim()
}
