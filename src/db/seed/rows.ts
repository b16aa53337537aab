// Runs in the command `seed`. Accounts and tasks as a year of use would leave them: the same for the same seed and year.
import { v7 } from 'uuid'
import type { Row } from '../backup/format.ts'
import type { Priority, TaskStatus } from '../tasks.ts'
import { below, createRandom, pick, pickWeighted, type Random } from './random.ts'
import { DETAILS, FIRST_NAMES, LAST_NAMES, OBJECTS, SENTENCES, VERBS } from './words.ts'

export interface Plan {
  seed: number
  users: number
  tasks: number
  /** When the year ends. */
  endMs: number
}

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const YEAR_MS = 365 * DAY_MS
const UUID_BYTES = 16
const BYTE_VALUES = 256
/** Filled anew for each id. */
const idBytes = new Uint8Array(UUID_BYTES)

const PRIORITY_SHARES: readonly (readonly [Priority, number])[] = [
  ['medium', 0.5],
  ['low', 0.25],
  ['high', 0.18],
  ['critical', 0.07],
]
const FINISHED_SHARES: readonly (readonly [TaskStatus, number])[] = [
  ['done', 0.88],
  ['cancelled', 0.12],
]
const OPEN_SHARES: readonly (readonly [TaskStatus, number])[] = [
  ['todo', 0.75],
  ['in_progress', 0.25],
]
/** Of the tasks that are old enough; the others stay open for ever. */
const FINISHED_SHARE_MAX = 0.85
/** Of those, two thirds are finished within so long. */
const FINISHING_MS = 20 * DAY_MS
const UNTOUCHED_SHARE = 0.8
const DETAIL_SHARE = 0.3
const DESCRIPTION_SHARE = 0.6
/** Of the shortest kind there are most. */
const SENTENCES_MAX = 14
const PARAGRAPH_SHARE = 0.2
const DUE_SHARE = 0.45
const DUE_DAYS_MAX = 60

interface Account {
  id: string
  email: string
  createdAtMs: number
}

/** Users first, each with `passwordHash`, then their tasks. */
export function* seedRows(plan: Plan, passwordHash: string): Generator<Row> {
  for (let index = 0; index < plan.users; index += 1) {
    const { id, email, createdAtMs } = makeAccount(plan, index, createRandom(plan.seed, index))
    const row = { id, email, password_hash: passwordHash, created_at: formatTime(createdAtMs) }
    yield { table: 'users', row }
  }
  const counts = countTasks(plan)
  for (let index = 0; index < plan.users; index += 1) {
    // From the start of its sequence, which gives the same account again: a list of all would take memory.
    const random = createRandom(plan.seed, index)
    const account = makeAccount(plan, index, random)
    yield* makeTasks(plan, account, counts.next().value ?? 0, random)
  }
}

/** The account number `index`, from 0: whatever else there is. */
export function emailOf(seed: number, index: number): string {
  return makeEmail(seed, index, createRandom(seed, index))
}

function makeAccount({ seed, endMs }: Plan, index: number, random: Random): Account {
  const email = makeEmail(seed, index, random)
  const createdAtMs = Math.floor(endMs - random() * YEAR_MS)
  return { id: makeId(createdAtMs, random), email, createdAtMs }
}

/** RFC 2606 reserves the domain: nobody gets mail there. */
function makeEmail(seed: number, index: number, random: Random): string {
  const name = `${pick(random, FIRST_NAMES)}.${pick(random, LAST_NAMES)}`
  return `${name}.${index + 1}@seed-${seed}.example.com`
}

/** How many tasks each account has: the second half as many as the first, the third a third, and so on. */
function* countTasks({ users, tasks }: Plan): Generator<number, undefined> {
  let whole = 0
  for (let index = 0; index < users; index += 1) whole += 1 / (index + 1)
  let part = 0
  let counted = 0
  for (let index = 0; index < users; index += 1) {
    part += 1 / (index + 1)
    const counting = Math.round((tasks * part) / whole)
    yield counting - counted
    counted = counting
  }
}

/** In the order of their times, so that an index grows at one place. */
function* makeTasks(
  { endMs }: Plan,
  { id: userId, createdAtMs }: Account,
  count: number,
  random: Random,
): Generator<Row> {
  let timeMs = createdAtMs
  for (let left = count; left > 0; left -= 1) {
    // The earliest of `left` random times of what is left of the year.
    timeMs += (endMs - timeMs) * (1 - random() ** (1 / left))
    yield { table: 'tasks', row: makeTask(userId, Math.floor(timeMs), endMs, random) }
  }
}

function makeTask(userId: string, createdAtMs: number, endMs: number, random: Random): Row['row'] {
  const ageMs = endMs - createdAtMs
  const status = makeStatus(ageMs, random)
  const untouched = status === 'todo' && random() < UNTOUCHED_SHARE
  // Most changes come soon.
  const updatedAtMs = untouched ? createdAtMs : createdAtMs + Math.floor(ageMs * random() ** 3)
  return {
    user_id: userId,
    id: makeId(createdAtMs, random),
    title: makeTitle(random),
    description: random() < DESCRIPTION_SHARE ? makeDescription(random) : null,
    status,
    priority: pickWeighted(random, PRIORITY_SHARES),
    due_at: random() < DUE_SHARE ? makeDueTime(createdAtMs, random) : null,
    created_at: formatTime(createdAtMs),
    updated_at: formatTime(updatedAtMs),
  }
}

function makeStatus(ageMs: number, random: Random): TaskStatus {
  const finishedShare = FINISHED_SHARE_MAX * (1 - Math.exp(-ageMs / FINISHING_MS))
  return pickWeighted(random, random() < finishedShare ? FINISHED_SHARES : OPEN_SHARES)
}

function makeTitle(random: Random): string {
  const title = `${pick(random, VERBS)} ${pick(random, OBJECTS)}`
  return random() < DETAIL_SHARE ? `${title} ${pick(random, DETAILS)}` : title
}

function makeDescription(random: Random): string {
  const count = 1 + Math.floor(SENTENCES_MAX * random() ** 4)
  let text = pick(random, SENTENCES)
  for (let left = count - 1; left > 0; left -= 1) {
    text += `${random() < PARAGRAPH_SHARE ? '\n\n' : ' '}${pick(random, SENTENCES)}`
  }
  return text
}

/** A whole hour, as people choose it. */
function makeDueTime(createdAtMs: number, random: Random): string {
  const timeMs = createdAtMs + DAY_MS * (1 + DUE_DAYS_MAX * random() ** 2)
  return formatTime(timeMs - (timeMs % HOUR_MS))
}

function makeId(timeMs: number, random: Random): string {
  for (let at = 0; at < UUID_BYTES; at += 1) idBytes[at] = below(random, BYTE_VALUES)
  return v7({ msecs: timeMs, random: idBytes })
}

function formatTime(timeMs: number): string {
  return new Date(timeMs).toISOString()
}
