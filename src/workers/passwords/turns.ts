// Runs in listeners. The passwords that wait for a thread, taken from each client in turn.

/** What the list needs to know of a member. */
export interface Member {
  readonly client: string
  /** Logins go ahead of registrations. */
  readonly kind: 'login' | 'registration'
}

/** While both wait, so many logins come before the next registration, which so never waits for ever. */
const LOGINS_IN_A_ROW = 3

/** Waiting members by client, oldest first. The client that was served goes to the end of the map. */
type Line<Waiting> = Map<string, Waiting[]>

export class Turns<Waiting extends Member> {
  readonly #logins: Line<Waiting> = new Map()
  readonly #registrations: Line<Waiting> = new Map()
  #size = 0
  #loginsInARow = 0

  get size(): number {
    return this.#size
  }

  /** How many of `client` wait. */
  count(client: string): number {
    const logins = this.#logins.get(client)?.length ?? 0
    return logins + (this.#registrations.get(client)?.length ?? 0)
  }

  push(member: Waiting): void {
    const line = this.#lineOf(member)
    const own = line.get(member.client)
    if (own) own.push(member)
    else line.set(member.client, [member])
    this.#size += 1
  }

  /** Takes the member whose turn it is. */
  shift(): Waiting | undefined {
    const turn = this.#loginsInARow < LOGINS_IN_A_ROW || this.#registrations.size === 0
    const line = turn && this.#logins.size > 0 ? this.#logins : this.#registrations
    this.#loginsInARow = line === this.#logins ? this.#loginsInARow + 1 : 0
    for (const [client, members] of line) {
      const next = members.shift()
      line.delete(client)
      if (members.length > 0) line.set(client, members)
      this.#size -= 1
      return next
    }
    return undefined
  }

  /**
   * Takes the member that is to make room for another: the latest one of the client that has most, if that has more than
   * the newcomer's would have; otherwise the latest registration, if the newcomer is the only login of its client.
   */
  displace({ client, kind }: Member): Waiting | undefined {
    const [heaviest, most] = this.#heaviest()
    if (most > this.count(client) + 1) {
      return this.#drop(this.#registrations, heaviest) ?? this.#drop(this.#logins, heaviest)
    }
    if (kind === 'registration' || this.count(client) > 0) return undefined
    return this.#drop(this.#registrations, [...this.#registrations.keys()].at(-1))
  }

  /** How many turns come before that of a newcomer, at most. */
  turnsBefore({ client, kind }: Member): number {
    const line = kind === 'login' ? this.#logins : this.#registrations
    const rounds = (line.get(client)?.length ?? 0) + 1
    const ahead = [...line.values()].reduce((sum, own) => sum + Math.min(own.length, rounds), 0)
    if (kind === 'login') return ahead + Math.ceil(ahead / LOGINS_IN_A_ROW)
    const logins = this.#size - sizeOf(this.#registrations)
    return ahead + Math.min(logins, (ahead + 1) * LOGINS_IN_A_ROW)
  }

  #lineOf({ kind }: Member): Line<Waiting> {
    return kind === 'login' ? this.#logins : this.#registrations
  }

  #heaviest(): [client: string | undefined, count: number] {
    let heaviest: [string | undefined, number] = [undefined, 0]
    for (const client of [...this.#registrations.keys(), ...this.#logins.keys()]) {
      const count = this.count(client)
      if (count > heaviest[1]) heaviest = [client, count]
    }
    return heaviest
  }

  #drop(line: Line<Waiting>, client: string | undefined): Waiting | undefined {
    const members = client === undefined ? undefined : line.get(client)
    if (client === undefined || !members) return undefined
    const dropped = members.pop()
    if (members.length === 0) line.delete(client)
    this.#size -= 1
    return dropped
  }
}

function sizeOf(line: Line<unknown>): number {
  return [...line.values()].reduce((sum, members) => sum + members.length, 0)
}
