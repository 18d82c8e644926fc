/** Medians and quartiles of paired rounds. */
import type { Round } from "./load.ts"

export interface Quartiles {
  readonly median: number
  readonly low: number
  readonly high: number
}

export const quartilesOf = (values: ReadonlyArray<number>): Quartiles => {
  const sorted = values.toSorted((a, b) => a - b)
  const at = (part: number) => sorted[Math.floor((sorted.length - 1) * part)] ?? Number.NaN
  return { median: at(0.5), low: at(0.25), high: at(0.75) }
}

/** CPU per request of each round, as a multiple of the other's in the same round. */
export const ratiosOf = (own: ReadonlyArray<Round>, other: ReadonlyArray<Round>): ReadonlyArray<number> =>
  own.map(({ micros }, at) => micros / other[at]!.micros)

export const shown = ({ median, low, high }: Quartiles): string => `${median.toFixed(2)} (${low.toFixed(2)}–${high.toFixed(2)})`
