// Runs in listeners, when an operator asks for it and ADMIN_DEBUG is on. Looks into the running process.
import { mkdtemp, writeFile } from 'node:fs/promises'
import { Session } from 'node:inspector/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { getHeapSpaceStatistics, getHeapStatistics, writeHeapSnapshot } from 'node:v8'
import type { Inspection } from '../../workers/messages.ts'

/**
 * Writes what is asked for to a file in a folder of its own, which whoever takes it removes. Only its user can enter the
 * folder: a snapshot holds the secrets of the process and what clients have sent.
 */
export async function inspect(inspection: Inspection): Promise<string> {
  const file = join(await mkdtemp(join(tmpdir(), 'taskapi-inspection-')), inspection.what)
  switch (inspection.what) {
    case 'heap':
      await writeJson(file, { ...getHeapStatistics(), spaces: getHeapSpaceStatistics() })
      break
    case 'snapshot':
      writeHeapSnapshot(file)
      break
    case 'profile':
      await writeJson(file, await profile(inspection.seconds))
      break
  }
  return file
}

async function profile(seconds: number): Promise<unknown> {
  const session = new Session()
  session.connect()
  try {
    await session.post('Profiler.enable')
    await session.post('Profiler.start')
    await delay(seconds * 1000)
    const { profile: result } = await session.post('Profiler.stop')
    return result
  } finally {
    session.disconnect()
  }
}

function writeJson(file: string, value: unknown): Promise<void> {
  return writeFile(file, JSON.stringify(value))
}
