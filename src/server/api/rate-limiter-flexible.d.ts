// The parts of rate-limiter-flexible that are imported one by one, and its protocol between a limiter and its store, which
// the package documents for authors of stores but does not type.
declare module 'rate-limiter-flexible/lib/RateLimiterMemory.js' {
  export { RateLimiterMemory as default } from 'rate-limiter-flexible'
}

declare module 'rate-limiter-flexible/lib/RateLimiterRes.js' {
  export { RateLimiterRes as default } from 'rate-limiter-flexible'
}

declare module 'rate-limiter-flexible/lib/RateLimiterStoreAbstract.js' {
  import type { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible'

  interface Options {
    keyPrefix: string
    points: number
    /** In seconds. */
    duration: number
    inMemoryBlockOnConsumed: number
    insuranceLimiter: RateLimiterMemory
  }

  /** Without what only `get` needs: the limits of a login are read together. */
  export default abstract class RateLimiterStoreAbstract<Row> {
    constructor(options: Options)
    readonly points: number
    readonly duration: number
    readonly keyPrefix: string
    getKey(key: string): string
    /** How long the process itself knows a key to be out of points; 0 when it does not. */
    getInMemoryBlockMsBeforeExpire(fullKey: string): number
    /** Rejects with a `RateLimiterRes` when the key had no points left. */
    consume(key: string): Promise<RateLimiterRes>
    delete(key: string): Promise<boolean>
    protected abstract _upsert(fullKey: string, points: number, durationMs: number): Promise<Row>
    protected abstract _delete(fullKey: string): Promise<boolean>
    protected abstract _getRateLimiterRes(
      fullKey: string,
      changedPoints: number,
      row: Row,
    ): RateLimiterRes
  }
}
