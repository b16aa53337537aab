// Runs in the process that the user started, when ADMIN_DEBUG is on. The pages with which an operator looks into a listener.
import { rmSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Inspection } from '../../workers/messages.ts'
import { type Answer, type Methods, type Observed, plain } from './admin-pages.ts'

const PROFILE_SECONDS = '10'
const PROFILE_SECONDS_MAX = 60

export function debugPages(observed: Observed): [path: string, methods: Methods][] {
  return [
    ['/debug/heap', { GET: ({ query }) => showHeap(observed, query) }],
    ['/debug/profile', { GET: ({ query }) => showProfile(observed, query) }],
  ]
}

function showHeap(observed: Observed, query: URLSearchParams): Promise<Answer> {
  return query.has('snapshot')
    ? show(observed, query, 'heapsnapshot', (file) => ({ what: 'snapshot', file }))
    : show(observed, query, 'json', (file) => ({ what: 'heap', file }))
}

async function showProfile(observed: Observed, query: URLSearchParams): Promise<Answer> {
  const seconds = Number(query.get('seconds') ?? PROFILE_SECONDS)
  if (!(seconds > 0 && seconds <= PROFILE_SECONDS_MAX)) {
    return plain(400, `seconds must be a number up to ${PROFILE_SECONDS_MAX}`)
  }
  return show(observed, query, 'cpuprofile', (file) => ({ what: 'profile', file, seconds }))
}

/** @param suffix by which tools know such a file */
async function show(
  observed: Observed,
  query: URLSearchParams,
  suffix: string,
  inspectionTo: (file: string) => Inspection,
): Promise<Answer> {
  const listener = Number(query.get('listener') ?? '1')
  // Only its user can enter it: a snapshot holds the secrets of the process, and what clients have sent.
  const folder = await mkdtemp(join(tmpdir(), 'taskapi-inspection-'))
  const removeNow = () => rmSync(folder, { recursive: true, force: true })
  // A process that ends meanwhile, or could not open the folder for want of descriptors, leaves no secret behind.
  process.once('exit', removeNow)
  const release = async () => {
    await rm(folder, { recursive: true })
    process.off('exit', removeNow)
  }
  const name = `listener-${listener}.${suffix}`
  const file = join(folder, name)
  try {
    await observed.inspect(listener, inspectionTo(file))
  } catch (error) {
    return { ...plain(503, error instanceof Error ? error.message : String(error)), release }
  }
  const headers = {
    'content-type': 'application/json',
    'content-disposition': `attachment; filename="${name}"`,
  }
  return { status: 200, headers, body: { file }, release }
}
