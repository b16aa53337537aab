// Runs in listeners. How much one client may hold of something that all clients share.

export interface ShareLimits {
  /** What all clients may hold together. */
  readonly max: number
  /** What one client may hold while no other holds anything. */
  readonly alone: number
  /** What a client may always hold, as long as there is room. */
  readonly least: number
}

/**
 * Whether a client may come to hold `held`, when all clients then hold `all`. The less is free, the less a client may
 * hold: with a quarter for one alone, two that want everything get a fifth each, and ten get 1/13 each. So a few clients
 * never leave the others without room.
 */
export function isFair({ max, alone, least }: ShareLimits, held: number, all: number): boolean {
  if (all > max) return false
  return held <= least || held * (max - alone) <= alone * (max - all)
}

/** What clients hold, by client. */
export class Shares {
  readonly #limits: ShareLimits
  readonly #heldBy = new Map<string, number>()
  #all = 0

  constructor(limits: ShareLimits) {
    this.#limits = limits
  }

  /** False when there is no room for `amount` more, whoever asks. */
  hasRoom(amount: number): boolean {
    return this.#all + amount <= this.#limits.max
  }

  /** Takes `amount` for the client, if its share allows it. */
  take(client: string, amount: number): boolean {
    const held = (this.#heldBy.get(client) ?? 0) + amount
    if (!isFair(this.#limits, held, this.#all + amount)) return false
    this.#heldBy.set(client, held)
    this.#all += amount
    return true
  }

  /** Gives back what was taken. */
  giveBack(client: string, amount: number): void {
    const held = (this.#heldBy.get(client) ?? 0) - amount
    if (held > 0) this.#heldBy.set(client, held)
    else this.#heldBy.delete(client)
    this.#all -= amount
  }
}
