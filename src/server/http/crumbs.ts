// Runs in listeners. Whose bodies come in crumbs.

/**
 * Chunks that a body may have. uWebSockets.js calls us for each, which takes about a microsecond: 64 KB in chunks of one
 * byte take 60 ms, and cannot be stopped among them.
 */
export const CHUNKS_MAX = 2048
/** So long, nothing in chunks is taken from a client that has sent more of them. */
const REST_MS = 15_000
/** Clients that are remembered; then the first of them is forgotten. */
const CLIENTS_MAX = 1024

export class Crumbs {
  readonly #restUntilMs = new Map<string, number>()

  /** Takes note of a client whose body had too many chunks. */
  add(client: string, nowMs: number): void {
    this.#restUntilMs.delete(client)
    const [first] = this.#restUntilMs.keys()
    if (this.#restUntilMs.size >= CLIENTS_MAX && first !== undefined) {
      this.#restUntilMs.delete(first)
    }
    this.#restUntilMs.set(client, nowMs + REST_MS)
  }

  /** True while nothing in chunks is taken from this client. */
  has(client: string, nowMs: number): boolean {
    const untilMs = this.#restUntilMs.get(client)
    if (untilMs === undefined) return false
    if (untilMs > nowMs) return true
    this.#restUntilMs.delete(client)
    return false
  }
}
