import { describe, expect, test } from 'vitest'
import { findFreeUid, findIdleAccount } from '../../src/db/local/identity.ts'

describe('initdb borrows a system account that runs nothing', () => {
  const passwd = `root:x:0:0:root:/root:/bin/bash
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
ada:x:1000:1000::/home/ada:/bin/bash
games:x:5:60:games:/usr/games:/usr/sbin/nologin
`

  test.each<[string, number[], number | undefined]>([
    ['the first one', [0], 1],
    ['the next one when that is busy', [0, 1], 5],
    ['nobody last', [0, 1, 5], 65_534],
    ['none rather than root or a person', [0, 1, 5, 65_534], undefined],
  ])('%s', (_which, busy, uid) => {
    expect(findIdleAccount(passwd, new Set(busy))).toBe(uid)
  })
})

describe('the number that a server runs as', () => {
  test('is the same for the same folder, and free', () => {
    const uid = findFreeUid('/srv/tasks', new Set())
    expect(findFreeUid('/srv/tasks', new Set())).toBe(uid)
    expect(findFreeUid('/srv/tasks', new Set([uid ?? 0]))).not.toBe(uid)
  })

  test('leaves none out before it gives up', () => {
    const taken = new Set<number>()
    for (;;) {
      const uid = findFreeUid('/srv/tasks', taken)
      if (uid === undefined) break
      expect(taken.has(uid)).toBe(false)
      taken.add(uid)
    }
    expect(taken.size).toBe(256)
    expect(Math.min(...taken)).toBe(60_928)
    expect(Math.max(...taken)).toBe(61_183)
  })
})
