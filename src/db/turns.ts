// Runs in listeners. The calls that wait, taken from each account in turn.

/** What the list needs to know of a member. */
export interface Waiting {
  /** The account whose turn it uses. */
  readonly account: string
  /** The row that it changes; empty when it changes none. */
  readonly row: string
}

/**
 * Waiting calls, oldest first. As long as all of them fit into one batch, they are a plain list. Only when more wait are
 * they sorted by account, and then one call of each account is taken before the second of any.
 */
export class Turns<Member extends Waiting> {
  #list: Member[] = []
  #byAccount: Map<string, Member[]> | undefined
  #size = 0

  get size(): number {
    return this.#size
  }

  /** Whose turn is next; it has waited as long as any, or nearly. */
  get front(): Member | undefined {
    if (!this.#byAccount) return this.#list[0]
    for (const [first] of this.#byAccount.values()) return first
    return undefined
  }

  push(member: Member): void {
    this.#size += 1
    if (this.#byAccount) append(this.#byAccount, member)
    else this.#list.push(member)
  }

  /** How many of `account` wait. */
  count(account: string): number {
    if (this.#byAccount) return this.#byAccount.get(account)?.length ?? 0
    return this.#list.reduce((sum, member) => sum + Number(member.account === account), 0)
  }

  /** Takes up to `max` members, no two of which change one row; what stays behind keeps its place. */
  take(max: number): Member[] {
    const taken = this.#byAccount || this.#size > max ? this.#takeInTurns(max) : this.#takeAll()
    this.#size -= taken.length
    return taken
  }

  #takeAll(): Member[] {
    const all = this.#list
    this.#list = []
    // Either all members change rows or none does: they are calls of one operation.
    if (all[0]?.row === '') return all
    const rows = new Set<string>()
    const taken: Member[] = []
    for (const member of all) {
      if (rows.has(member.row)) this.#list.push(member)
      else taken.push(member)
      rows.add(member.row)
    }
    return taken
  }

  /**
   * An account that was served goes to the end of the map. An account whose next call changes a row that this batch
   * already changes goes there unserved; after a round of such accounts, the batch is as full as it gets.
   */
  #takeInTurns(max: number): Member[] {
    this.#byAccount ??= byAccount(this.#list)
    const accounts = this.#byAccount
    const taken: Member[] = []
    const rows = new Set<string>()
    let unserved = 0
    for (const [account, members] of accounts) {
      if (taken.length === max || unserved === accounts.size) break
      const next = members[0]
      accounts.delete(account)
      if (next && (next.row === '' || !rows.has(next.row))) {
        rows.add(next.row)
        taken.push(next)
        members.shift()
        unserved = 0
      } else {
        unserved += 1
      }
      if (members.length > 0) accounts.set(account, members)
    }
    if (accounts.size === 0) this.#startOver()
    return taken
  }

  #startOver(): void {
    this.#byAccount = undefined
    this.#list = []
  }
}

function byAccount<Member extends Waiting>(members: readonly Member[]): Map<string, Member[]> {
  const accounts = new Map<string, Member[]>()
  for (const member of members) append(accounts, member)
  return accounts
}

function append<Member extends Waiting>(accounts: Map<string, Member[]>, member: Member): void {
  const own = accounts.get(member.account)
  if (own) own.push(member)
  else accounts.set(member.account, [member])
}
