// Runs in listeners, when an operator asks for it and ADMIN_DEBUG is on. Looks into the running process.
import { writeFile } from 'node:fs/promises'
import { Session } from 'node:inspector/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { getHeapSpaceStatistics, getHeapStatistics, writeHeapSnapshot } from 'node:v8'
import type { Inspection } from '../../workers/messages.ts'

/** Writes what is asked for to its file. */
export async function inspect(inspection: Inspection): Promise<void> {
  const { what, file } = inspection
  switch (what) {
    case 'heap':
      return writeJson(file, { ...getHeapStatistics(), spaces: getHeapSpaceStatistics() })
    case 'snapshot':
      writeHeapSnapshot(file)
      return
    case 'profile':
      return writeJson(file, await profile(inspection.seconds))
  }
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
