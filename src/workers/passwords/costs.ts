// Runs in listeners, their hash threads and benchmarks. What one password hash costs.

/** OWASP's minimum for Argon2id, the package's default algorithm: 19 MiB, two passes, one lane. */
export const PASSWORD_COSTS = { memoryCost: 19_456, timeCost: 2, parallelism: 1 } as const
