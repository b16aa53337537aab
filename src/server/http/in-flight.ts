// Runs in listeners. Requests that wait for something, in the order of their deadlines.

/** What a member of a list must carry; only the list touches the links. */
export interface Member<T> {
  /** By `performance.now()`. */
  readonly deadlineMs: number
  previous: T | undefined
  next: T | undefined
}

/**
 * A list in order of arrival, whose members all wait equally long; adding and removing allocate nothing and take constant
 * time.
 */
export class InFlight<T extends Member<T>> {
  #first: T | undefined
  #last: T | undefined
  #size = 0

  get size(): number {
    return this.#size
  }

  /** The member that has waited longest. */
  get first(): T | undefined {
    return this.#first
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

  /** Gives each member that is past its deadline to `end`, which deletes it now or soon. */
  expire(nowMs: number, end: (member: T) => void): void {
    let member = this.#first
    while (member && member.deadlineMs < nowMs) {
      const { next } = member
      end(member)
      member = next
    }
  }
}
