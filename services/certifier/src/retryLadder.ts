/**
 * How long to wait after a failed attempt: one table per kind of failure, in seconds; the last entry repeats.
 *
 * Owns: the delays. Leaves to `attendClaim.ts`: counting. The CA's own Retry-After always wins when it is longer.
 */
export const ladders = {
  /** The CA or one of our own servers is not there: mostly a restart, and it costs nobody a limit to ask again. */
  unavailable: [1, 2, 5, 15, 30, 60, 300, 600, 1800, 3600], // 2 h
  /** The CA looked and refused: each further look counts against its limit of failures per name (A7). */
  refused: [60, 600, 6000, 86_400], // 1 m, 11 m, 1 h 51 m, then daily
  /** The DNS says that an order can only fail; looking again costs nobody anything. */
  blocked: [60, 600, 1800, 3600], // 1 m, 11 m, 41 m, then hourly
  /** No edge is connected that could answer a CA: not an attempt, and not counted as one. */
  edgeless: [2],
  /** A limit: without a Retry-After we can only guess. */
  limited: [600, 3600, 10_800] // 10 m, 1 h 10 m, then every 3 h
} as const satisfies Record<string, ReadonlyArray<number>>

export type FailureKind = keyof typeof ladders

/** Seconds until the next attempt after `failures` consecutive failures (≥ 1), ± 10 %. `random` is in [0, 1). */
export const retryDelay = (kind: FailureKind, failures: number, random: number, retryAfterSeconds = 0): number => {
  // A limit's end is known to the second; a little later is soon enough, earlier is a violation.
  if (kind === "limited" && retryAfterSeconds > 0) return retryAfterSeconds * (1 + random * 0.02) + random * 5
  const ladder = ladders[kind]
  const step = ladder[Math.min(Math.max(failures, 1), ladder.length) - 1]!
  return Math.max(retryAfterSeconds, step * (0.9 + random * 0.2))
}
