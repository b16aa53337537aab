// Runs in listeners. The requests that wait for their answer, and what ends them at their deadline.

const SWEEP_MS = 50

/** What a member of the list must carry; only the list touches the links. */
export interface Member<T> {
  /** By `performance.now()`. */
  readonly deadlineMs: number
  previous: T | undefined
  next: T | undefined
}

/** A list in order of arrival; adding and removing allocate nothing and take constant time. */
export class InFlight<T extends Member<T>> {
  #first: T | undefined
  #last: T | undefined
  #size = 0
  #sweeper: NodeJS.Timeout | undefined

  get size(): number {
    return this.#size
  }

  add(member: T): void {
    member.previous = this.#last
    if (this.#last) this.#last.next = member
    else this.#first = member
    this.#last = member
    this.#size += 1
  }

  /** `member` must be in the list. */
  delete(member: T): void {
    if (member.previous) member.previous.next = member.next
    else this.#first = member.next
    if (member.next) member.next.previous = member.previous
    else this.#last = member.previous
    member.previous = undefined
    member.next = undefined
    this.#size -= 1
  }

  /** Until `close`, gives each member that is past its deadline to `expire`, which must delete it. */
  sweep(expire: (member: T) => void): void {
    this.#sweeper = setInterval(() => {
      const nowMs = performance.now()
      // All members may wait equally long, so those that are late stand in front.
      while (this.#first && this.#first.deadlineMs < nowMs) expire(this.#first)
    }, SWEEP_MS).unref()
  }

  close(): void {
    clearInterval(this.#sweeper)
  }
}
