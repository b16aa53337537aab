// What a far page of one user's list costs by cursor and by offset, compared with the first page.
import { setTimeout as delay } from 'node:timers/promises'
import { authorized, type SeedUser } from '../load/scenario.ts'
import { Connection } from '../load/sender.ts'
import { median } from './spread.ts'

const PAGE_TASKS = 20
const FIRST_PATH = `/api/v1/tasks?limit=${PAGE_TASKS}`
/** How often each page is requested; a far page by offset is slow. */
const REPEATS = 500
const OFFSET_REPEATS = 50
const WARM_UPS = 20
const ANSWER_TIMEOUT_MS = 30_000

/** Pages of one user's list, one request at a time. */
export interface GrowthPages {
  user_tasks: number
  /** Number of the far page; the first is 1. */
  page: number
  first_p50_us?: number
  cursor_p50_us?: number
  offset_p50_us?: number
  cursor_ratio?: number
  /** Why there are no figures of the cursor. */
  missing?: string
}

export async function measurePages(
  url: string,
  user: SeedUser,
  userTasks: number,
  pagesMax: number,
  signal: AbortSignal,
): Promise<GrowthPages> {
  const page = Math.min(pagesMax, Math.floor(userTasks / PAGE_TASKS))
  const offsetPath = `${FIRST_PATH}&offset=${(page - 1) * PAGE_TASKS}`
  const cursorPath = await followLinks(url, user, page, signal)
  const time = (paths: string[], repeats: number) =>
    timeAlternately(url, user, paths, repeats, signal)
  const [, offset_p50_us] = await time([FIRST_PATH, offsetPath], OFFSET_REPEATS)
  const [first_p50_us, cursor_p50_us] = await time(
    [FIRST_PATH, ...(cursorPath.found ? [cursorPath.found] : [])],
    REPEATS,
  )
  return {
    user_tasks: userTasks,
    page,
    ...(first_p50_us === undefined ? {} : { first_p50_us }),
    ...(offset_p50_us === undefined ? {} : { offset_p50_us }),
    ...(cursor_p50_us === undefined || first_p50_us === undefined
      ? { missing: cursorPath.missing ?? 'no figure' }
      : { cursor_p50_us, cursor_ratio: cursor_p50_us / first_p50_us }),
  }
}

/** The path of a page, found by following the links of all pages before it: nothing else leads there. */
async function followLinks(
  url: string,
  user: SeedUser,
  page: number,
  signal: AbortSignal,
): Promise<{ found?: string; missing?: string }> {
  let path = FIRST_PATH
  for (let at = 1; at < page; at += 1) {
    const answer = await fetch(url + path, { headers: authorized(user), signal })
    await answer.arrayBuffer()
    const next = /<([^>]+)>;\s*rel="next"/.exec(answer.headers.get('link') ?? '')?.[1]
    if (!answer.ok || !next) return { missing: `page ${at} has no link to the next` }
    // A link may be relative to the page that it is on (RFC 8288, 3.1).
    const { pathname, search } = new URL(next, url + path)
    path = pathname + search
  }
  return { found: path }
}

/** The p50 of each path in microseconds, over one connection that requests them in turn. */
async function timeAlternately(
  url: string,
  user: SeedUser,
  paths: readonly string[],
  repeats: number,
  signal: AbortSignal,
): Promise<number[]> {
  const requests = paths.map((path) => ({
    method: 'GET' as const,
    path,
    headers: authorized(user),
  }))
  const connection = await Connection.open(url, requests)
  const times: number[][] = paths.map(() => [])
  try {
    for (let round = 0; round < WARM_UPS + repeats; round += 1) {
      for (const own of times) {
        signal.throwIfAborted()
        const took = await timeAnswer(connection)
        if (round >= WARM_UPS) own.push(took * 1000)
      }
    }
  } finally {
    connection.close()
  }
  return times.map(median)
}

async function timeAnswer(connection: Connection): Promise<number> {
  const timeout = new AbortController()
  const late = delay(ANSWER_TIMEOUT_MS, undefined, { signal: timeout.signal }).then(
    () => {
      throw new Error('A page was not answered in time')
    },
    () => 0,
  )
  const answer = new Promise<number>((resolve, reject) => {
    connection.events = {
      onAnswer: (_, status) =>
        status === 200
          ? resolve(performance.now() - connection.sinceMs)
          : reject(new Error(`A page was answered with ${status}`)),
      onClose: () => reject(new Error('The connection of the pages was lost')),
    }
  })
  connection.send(performance.now())
  return Promise.race([answer, late]).finally(() => timeout.abort())
}
