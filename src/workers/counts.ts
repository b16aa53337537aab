// Runs in the supervisor process. What the listeners have counted, those that have died included.
import { type Family, lastingOf, mergeParts, type Part } from '../stats/families.ts'

/** Interval of the questions that keep little from being lost when a listener is killed. */
const ASK_MS = 1000
/** How long a reader of all counts waits for the listeners. One that does not answer is represented by its last answer. */
const PATIENCE_MS = 2000
/** Questions without an answer at most: they wait in the memory of a listener that hangs. */
const UNANSWERED_MAX = 3

/** A listener that can be asked. */
export interface Counting {
  /** False when it cannot receive the question of this round. */
  ask(round: number): boolean
}

interface Entry {
  readonly name: string
  readonly listener: Counting
  families: readonly Family[]
  unanswered: number
  answeredRound: number
}

/** The counts of all listeners at one moment. */
export interface Counts {
  readonly families: Family[]
  /** The same for each listener that lives, since its start. */
  readonly parts: readonly Part[]
  /** Names of listeners, and whether each was represented by an earlier answer. */
  readonly stale: ReadonlyMap<string, boolean>
}

/**
 * Counters never fall: what a listener had counted at its last answer is kept when it dies. What it counted after that is
 * lost, at most a second of it.
 */
export class ListenerCounts {
  readonly #entries: readonly Entry[]
  readonly #timer: NodeJS.Timeout | undefined
  /** What listeners that have died have counted. */
  #kept: readonly Family[] = []
  #round = 0
  #reading: Promise<Counts> | undefined
  #onAnswer: (() => void) | undefined

  /** @param ahead whether to ask also when nobody reads, so that little is lost */
  constructor(listeners: readonly Counting[], ahead: boolean) {
    this.#entries = listeners.map((listener, index) => ({
      name: String(index + 1),
      listener,
      families: [],
      unanswered: 0,
      answeredRound: 0,
    }))
    this.#timer = ahead ? setInterval(() => this.#ask(), ASK_MS).unref() : undefined
  }

  close(): void {
    clearInterval(this.#timer)
  }

  /** Asks all listeners, once for all readers that come meanwhile. Never rejects, and never waits long. */
  read(): Promise<Counts> {
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined
    })
    return this.#reading
  }

  /** Takes note of a listener's answer. */
  receive(listener: Counting, round: number, families: readonly Family[]): void {
    const entry = this.#find(listener)
    if (!entry || round <= entry.answeredRound) return
    entry.answeredRound = round
    entry.unanswered -= 1
    entry.families = families
    this.#onAnswer?.()
  }

  /** Keeps what a listener has counted that has died. */
  keep(listener: Counting): void {
    const entry = this.#find(listener)
    if (!entry) return
    this.#kept = mergeParts([keptPart(this.#kept), keptPart(lastingOf(entry.families))])
    entry.families = []
    // What it was asked, nobody answers any more.
    entry.answeredRound = this.#round
    entry.unanswered = 0
    this.#onAnswer?.()
  }

  async #read(): Promise<Counts> {
    const asked = this.#ask()
    const round = this.#round
    const behind = () => asked.some(({ answeredRound }) => answeredRound < round)
    if (behind()) {
      await new Promise<void>((resolve) => {
        const patience = setTimeout(resolve, PATIENCE_MS)
        this.#onAnswer = () => {
          if (behind()) return
          clearTimeout(patience)
          resolve()
        }
      })
      this.#onAnswer = undefined
    }
    const parts = this.#entries.map(({ name, families }) => ({ process: name, families }))
    const stale = this.#entries.map(({ name, unanswered }) => [name, unanswered > 0] as const)
    return {
      families: mergeParts([keptPart(this.#kept), ...parts]),
      parts,
      stale: new Map(stale),
    }
  }

  /** Those that are to answer. */
  #ask(): Entry[] {
    this.#round += 1
    const asked = this.#entries.filter(
      ({ unanswered, listener }) => unanswered < UNANSWERED_MAX && listener.ask(this.#round),
    )
    for (const entry of asked) entry.unanswered += 1
    return asked
  }

  #find(wanted: Counting): Entry | undefined {
    return this.#entries.find(({ listener }) => listener === wanted)
  }
}

function keptPart(families: readonly Family[]): Part {
  return { process: '', families }
}
