// Runs in the process that the user started, when ADMIN_DEBUG is on. The pages with which an operator looks into a listener.
import type { Inspection } from '../../workers/messages.ts'
import { type Answer, type Asked, type Observed, type Page, plain } from './admin-pages.ts'

const PROFILE_SECONDS = '10'
const PROFILE_SECONDS_MAX = 60
/** By which tools know the files. */
const SUFFIXES = { heap: 'json', snapshot: 'heapsnapshot', profile: 'cpuprofile' } as const

export function debugPages(observed: Observed): [path: string, page: Page][] {
  return [
    [
      '/debug/heap',
      ({ query }) => show(observed, query, { what: query.has('snapshot') ? 'snapshot' : 'heap' }),
    ],
    ['/debug/profile', (asked) => showProfile(observed, asked)],
  ]
}

async function showProfile(observed: Observed, { query }: Asked): Promise<Answer> {
  const seconds = Number(query.get('seconds') ?? PROFILE_SECONDS)
  if (!(seconds > 0 && seconds <= PROFILE_SECONDS_MAX)) {
    return plain(400, `seconds must be a number up to ${PROFILE_SECONDS_MAX}`)
  }
  return show(observed, query, { what: 'profile', seconds })
}

async function show(
  observed: Observed,
  query: URLSearchParams,
  inspection: Inspection,
): Promise<Answer> {
  const listener = Number(query.get('listener') ?? '1')
  const name = `listener-${listener}.${SUFFIXES[inspection.what]}`
  try {
    const file = await observed.inspect(listener, inspection)
    const headers = {
      'content-type': 'application/json',
      'content-disposition': `attachment; filename="${name}"`,
    }
    return { status: 200, headers, body: { file } }
  } catch (error) {
    return plain(503, error instanceof Error ? error.message : String(error))
  }
}
