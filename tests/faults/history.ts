// Whether what clients saw of one value, written and read by many at once, could have happened one after the other.
// Every write has its own value, so the check of Gibbons and Korach ("Testing shared memories", 1997) decides it: a value
// and its reads form a zone in time, and zones must not be nested or overlap in ways that no order explains.

export interface Operation {
  kind: 'write' | 'read'
  value: string
  startedAt: number
  /** Infinity for a write whose outcome nobody was told of: it may happen at any later time, or never. */
  endedAt: number
}

interface Zone {
  value: string
  /** The earliest end of an operation on the value. */
  firstEnd: number
  /** The latest start of an operation on the value. */
  lastStart: number
}

/** The first reason why no order explains the operations, or `undefined` when one does. */
export function findViolation(operations: readonly Operation[]): string | undefined {
  const writes = new Map<string, Operation>()
  const zones = new Map<string, Zone>()
  for (const operation of operations) {
    if (operation.kind === 'write') {
      if (writes.has(operation.value)) return `"${operation.value}" was written twice`
      writes.set(operation.value, operation)
    }
    widen(zones, operation)
  }
  for (const read of operations) {
    if (read.kind !== 'read') continue
    const write = writes.get(read.value)
    if (!write) return `"${read.value}" was read but never written`
    if (read.endedAt < write.startedAt) return `"${read.value}" was read before it was written`
  }
  return findConflict([...zones.values()])
}

function widen(zones: Map<string, Zone>, { value, startedAt, endedAt }: Operation): void {
  const zone = zones.get(value)
  if (!zone) {
    zones.set(value, { value, firstEnd: endedAt, lastStart: startedAt })
  } else {
    zone.firstEnd = Math.min(zone.firstEnd, endedAt)
    zone.lastStart = Math.max(zone.lastStart, startedAt)
  }
}

/** A value is surely there from the first end to the last start of its zone, when the end comes first. */
function findConflict(zones: readonly Zone[]): string | undefined {
  const held = zones
    .filter(({ firstEnd, lastStart }) => firstEnd < lastStart)
    .sort((one, other) => one.firstEnd - other.firstEnd)
  for (const [index, zone] of held.entries()) {
    const next = held[index + 1]
    if (next && next.firstEnd < zone.lastStart) {
      return `"${zone.value}" was read after "${next.value}" had replaced it, or the other way round`
    }
  }
  for (const { value, firstEnd, lastStart } of zones) {
    if (firstEnd < lastStart) continue
    const around = lastBefore(held, lastStart)
    if (around && firstEnd < around.lastStart) {
      return `"${value}" was written while "${around.value}" was there, and ended before its last read`
    }
  }
  return undefined
}

/** The last zone whose first end is before `time`. */
function lastBefore(held: readonly Zone[], time: number): Zone | undefined {
  let low = 0
  let high = held.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((held[middle]?.firstEnd ?? 0) < time) low = middle + 1
    else high = middle
  }
  return held[low - 1]
}
