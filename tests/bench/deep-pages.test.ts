import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { measurePages } from '../../bench/measure/deep-pages.ts'

const USER = { email: '', password: '', token: 'a token', taskIds: [] }

/** A list of `pages` pages, where a cursor costs 2 ms and an offset 6. */
async function withPages<T>(pages: number, use: (url: string) => Promise<T>): Promise<T> {
  const server = createServer((request, response) => {
    const { searchParams } = new URL(request.url ?? '', 'http://localhost')
    const at = Number(searchParams.get('cursor') ?? 1)
    // Absolute and relative ones take turns.
    const path = at % 2 === 0 ? '/api/v1/tasks' : ''
    const next = `<${path}?limit=20&cursor=${at + 1}>; rel="next"`
    const waitMs = searchParams.has('offset') ? 6 : at === pages ? 2 : 0
    const answer = () => {
      response.writeHead(200, at < pages ? { link: next } : {})
      response.end('[]')
    }
    if (waitMs === 0) answer()
    else void delay(waitMs).then(answer)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  try {
    return await use(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  } finally {
    server.closeAllConnections()
    server.close()
  }
}

test('links lead to the far page, and each page is timed for itself', { retry: 2 }, async () => {
  const pages = await withPages(5, (url) =>
    measurePages(url, USER, 100, 10, new AbortController().signal),
  )
  expect(pages).toMatchObject({ user_tasks: 100, page: 5 })
  expect(pages.missing).toBeUndefined()
  expect(pages.first_p50_us).toBeLessThan(1500)
  expect(pages.cursor_p50_us).toBeGreaterThan(2000)
  expect(pages.cursor_p50_us).toBeLessThan(5000)
  expect(pages.offset_p50_us).toBeGreaterThan(6000)
})

test('a list without links has no far page by cursor', async () => {
  const pages = await withPages(1, (url) =>
    measurePages(url, USER, 100, 3, new AbortController().signal),
  )
  expect(pages.missing).toBe('page 1 has no link to the next')
  expect(pages.cursor_ratio).toBeUndefined()
  expect(pages.offset_p50_us).toBeGreaterThan(6000)
})
