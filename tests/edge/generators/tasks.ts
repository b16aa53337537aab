// Random tasks, good and bad.
import { pick, type Random } from '../../support/random.ts'

const LETTERS = [
  'a',
  'Z',
  ' ',
  '"',
  '\\',
  '/',
  'é',
  '🦀',
  '\u2028',
  '\ufffd',
  '\u0001',
  '<',
  "'",
  '%',
  '\t',
]
const GOOD_TIMES = [
  '2026-12-24T18:00:00Z',
  '0001-01-01T00:00:00Z',
  '2024-02-29T23:59:59.123456789+15:59',
  null,
]
const BAD_TIMES = [
  '2026-02-29T00:00:00Z',
  '0000-06-01T00:00:00Z',
  '0000-12-31T23:00:00-01:00',
  '2026-12-24',
  'now',
  '',
  7,
  true,
  [],
  {},
]
const PRIORITIES = ['low', 'medium', 'high', 'critical']

export function randomText(random: Random, length = 1 + random(20)): string {
  return Array.from({ length }, () => pick(LETTERS, random)).join('')
}

export function goodTask(random: Random): object {
  return {
    title: randomText(random),
    ...(random(2) ? { description: random(3) ? randomText(random, random(60)) : null } : {}),
    ...(random(2) ? { priority: pick(PRIORITIES, random) } : {}),
    ...(random(2) ? { due_at: pick(GOOD_TIMES, random) } : {}),
  }
}

/** A good one with one thing wrong. */
export function badTask(random: Random): object {
  const wrong = pick<object>(
    [
      { title: '' },
      { title: 'x'.repeat(201) },
      { title: 'a\0b' },
      { title: '\ud800' },
      { title: pick([null, 1, true, [], {}], random) },
      { description: 'x'.repeat(2001) },
      { priority: pick(['HIGH', '', null, 3], random) },
      { due_at: pick(BAD_TIMES, random) },
      { [`_${randomText(random)}`]: 1 },
      { user_id: 'x' },
    ],
    random,
  )
  return { ...goodTask(random), ...wrong }
}
