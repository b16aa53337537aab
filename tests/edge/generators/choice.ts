// A random choice.
import type { Random } from '../../wire/lies.ts'

export function pick<Item>(items: readonly Item[], random: Random): Item {
  const item = items[random(items.length)]
  if (item === undefined) throw new Error('There is nothing to pick from')
  return item
}
