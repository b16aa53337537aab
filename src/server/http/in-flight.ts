// Runs in listeners. The requests that wait for their answer.

/** What a member of the list must carry; only the list touches the links. */
export interface Pending<T> {
  previous: T | undefined
  next: T | undefined
}

/** A list in order of arrival; adding and removing allocate nothing and take constant time. */
export class PendingList<T extends Pending<T>> {
  #first: T | undefined
  #last: T | undefined
  #size = 0

  get size(): number {
    return this.#size
  }

  get oldest(): T | undefined {
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
}
