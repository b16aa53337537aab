// Choices that are the same again for the same seed.
import { seededRandom } from '../../bench/load/scenario.ts'

/** A whole number from 0 on, less than `below`. */
export type Random = (below: number) => number

export function randomBelow(seed: number): Random {
  const random = seededRandom(seed)
  return (below) => Math.floor(random() * below)
}

export function pick<Item>(items: readonly Item[], random: Random): Item {
  const item = items[random(items.length)]
  if (item === undefined) throw new Error('There is nothing to pick from')
  return item
}
