// Runs in every process. What a start returns, and how several of them end.

/** Something that has been started and can be stopped. */
export interface Running {
  /** Lets what is in flight finish. True when nothing was cut off. */
  drain(): Promise<boolean>
  /** Stops at once. */
  terminate(): void
}

/** Several as one, in the order of their start: they drain one after the other, the last one first. */
export function together(members: readonly Running[]): Running {
  return {
    drain: async () => {
      let clean = true
      for (const member of members.toReversed()) clean = (await member.drain()) && clean
      return clean
    },
    terminate: () => {
      for (const member of members) member.terminate()
    },
  }
}
