// Runs in listeners. Log lines that would repeat by the thousand: one a second of each kind, and how many it stands for.

const INTERVAL_MS = 1000

/** Writes a line; `repeats` is how many of its kind came since the last one and were not written. */
export type WriteLine = (repeats: number) => void

interface Kind {
  repeats: number
  /** Writes the latest of the repeats. */
  write: WriteLine
  timer: NodeJS.Timeout
}

/** Samples by kind. Kinds must be few: each is remembered for as long as it repeats. */
export class Sampling {
  readonly #kinds = new Map<string, Kind>()

  /** The first line of a kind is written at once; further ones are counted, and the latest of them speaks for all. */
  add(kind: string, write: WriteLine): void {
    const known = this.#kinds.get(kind)
    if (known) {
      known.repeats += 1
      known.write = write
      return
    }
    const timer = setInterval(() => this.#write(kind), INTERVAL_MS).unref()
    this.#kinds.set(kind, { repeats: 0, write, timer })
    write(0)
  }

  /** Writes what has been counted. */
  flush(): void {
    for (const kind of this.#kinds.keys()) this.#write(kind)
  }

  #write(name: string): void {
    const kind = this.#kinds.get(name)
    if (!kind) return
    const { repeats } = kind
    if (repeats === 0) {
      clearInterval(kind.timer)
      this.#kinds.delete(name)
      return
    }
    kind.repeats = 0
    kind.write(repeats)
  }
}
