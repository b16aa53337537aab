// Runs in the command `seed`. Numbers that look random, and are the same for the same seed on any machine.

/** Steps through all 32-bit numbers, in an order that the mixing below hides. */
const STEP = 0x9e3779b9
const TWO_TO_32 = 2 ** 32

/** One sequence of numbers from 0 on and below 1. */
export type Random = () => number

/** @param stream numbers one of the sequences that a seed has, so that none depends on how many others are drawn from */
export function createRandom(seed: number, stream: number): Random {
  let state = mix(mix(seed) + stream)
  return () => {
    state = (state + STEP) | 0
    return (mix(state) >>> 0) / TWO_TO_32
  }
}

/** Lets each bit of `value` change about half of all bits. */
function mix(value: number): number {
  let mixed = value | 0
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x21f0aaad)
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97)
  return mixed ^ (mixed >>> 15)
}

/** A whole number from 0 on and below `limit`. */
export function below(random: Random, limit: number): number {
  return Math.floor(random() * limit)
}

export function pick<Item>(random: Random, items: readonly Item[]): Item {
  return items[below(random, items.length)] as Item
}

/** An item of [item, weight]; the weights add up to 1. */
export function pickWeighted<Item>(
  random: Random,
  items: readonly (readonly [Item, number])[],
): Item {
  let left = random()
  for (const [item, weight] of items) {
    left -= weight
    if (left < 0) return item
  }
  return items[0]?.[0] as Item
}
