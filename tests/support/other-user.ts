// Runs in the tests, as root. Processes of other users, such as an intruder would have.
import { execFile } from 'node:child_process'
import { chmod, copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** Where every user finds a Node.js: the one that runs the tests may be in a folder that only root can enter. */
export interface Outpost {
  folder: string
  /** Runs the lines of a module as `uid`; they `report` a value, which this resolves with. */
  runAs(uid: number, lines: string): Promise<unknown>
  close(): Promise<void>
}

export async function openOutpost(): Promise<Outpost> {
  const folder = await mkdtemp(join(tmpdir(), 'taskapi-outpost-'))
  const node = join(folder, 'node')
  await copyFile(process.execPath, node)
  for (const path of [folder, node]) await chmod(path, 0o755)
  return {
    folder,
    runAs: async (uid, lines) => {
      const script = join(folder, `script-${uid}.mjs`)
      const report = 'const report = (value) => console.log(JSON.stringify(value))'
      await writeFile(script, `${report}\n${lines}\n`, { mode: 0o644 })
      const { stdout } = await run(node, [script], { uid, gid: uid, cwd: '/', env: {} })
      return JSON.parse(stdout)
    },
    close: () => rm(folder, { recursive: true }),
  }
}
