// How hard and how long a server is loaded.

export interface LoadOptions {
  connections: number
  warmupSeconds: number
  durationSeconds: number
  /**
   * Offered rate of the open loop: a share of the run's own closed-loop throughput, or requests per second. Without it,
   * there is no open loop.
   */
  rate?: { share: number } | { perSecond: number }
}
