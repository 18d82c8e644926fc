/**
 * Why a message is not served, in the words of the access log and the error page.
 *
 * Owns: the form of a refusal. Leaves to the parsers: when; to `pages/`: what the client reads. A refused message always ends its connection,
 * because after it nobody can say where the next message begins.
 */
export interface Refusal {
  readonly refused: true
  /** The status to answer a client with; for an origin's message always 502. */
  readonly status: number
  /** Stable, for logs and tests: `host-twice`, `length-and-encoding`, … */
  readonly code: string
}

export const refuse = (status: number, code: string): Refusal => ({ refused: true, status, code })

export const isRefusal = (value: object | number | undefined): value is Refusal => typeof value === "object" && "refused" in value
