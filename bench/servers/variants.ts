// A peer with one setting or another, to find out which suit it best.
import type { ServerKind } from './kind.ts'

/** A setting of a peer, and the values to try. */
export interface Trial {
  name: string
  values: readonly string[]
}

/** One kind for each combination of the values, named after it. */
export function variantsOf(kind: ServerKind, trials: readonly Trial[]): ServerKind[] {
  return combine(trials).map((settings) => ({
    ...kind,
    name: Object.entries(settings)
      .map(([name, value]) => `${name}=${value}`)
      .join(' '),
    env: (options) => ({ ...kind.env(options), ...settings }),
  }))
}

/** The settings among `trials` that the kind does not have. */
export function unknownSettings(kind: ServerKind, trials: readonly Trial[]): string[] {
  const known = kind.env({ port: 0, databaseUrl: undefined })
  return trials.map(({ name }) => name).filter((name) => !(name in known))
}

function combine(trials: readonly Trial[]): Record<string, string>[] {
  return trials.reduce<Record<string, string>[]>(
    (combinations, { name, values }) =>
      combinations.flatMap((chosen) => values.map((value) => ({ ...chosen, [name]: value }))),
    [{}],
  )
}
