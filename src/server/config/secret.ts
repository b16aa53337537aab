// Runs in every process. A text that must never be shown.
import { inspect } from 'node:util'

const SHOWN = '[secret]'

/** Prints, logs, serializes and concatenates as `[secret]`: only `reveal` gives what it holds. */
export class Secret {
  readonly #text: string

  constructor(text: string) {
    this.#text = text
  }

  /** The text itself, for whoever signs or connects with it. */
  reveal(): string {
    return this.#text
  }

  toString(): string {
    return SHOWN
  }

  toJSON(): string {
    return SHOWN
  }

  [inspect.custom](): string {
    return SHOWN
  }
}
