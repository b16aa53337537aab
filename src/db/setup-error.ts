// Runs in every process. A failure that somebody can set right.

/**
 * Thrown when something outside of the code has to be set right first: its message says what is wrong and what helps, and
 * where in the code it was found says nothing.
 */
export class SetupError extends Error {
  override readonly name = 'SetupError'
}

/** Thrown when what a setting names turns out to need another setting. */
export class UnfitError extends SetupError {}
