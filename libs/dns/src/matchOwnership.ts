/**
 * Does the ownership TXT stand at its name? It must equal the value exactly; other TXT values beside it are fine.
 *
 * Pure. Exactly means byte for byte: no trimming, no unquoting, no case folding. A value that a panel wrapped in quotes is not equal.
 */
import type { ServerReply } from "./Resolver.ts"
import { judge, type ServerVerdict } from "./verdict.ts"

export const matchOwnership = (expected: string, replies: ReadonlyArray<ServerReply>): ReadonlyArray<ServerVerdict> =>
  judge(replies, ({ values }) => ({ values, verdict: values.includes(expected) ? "match" : "mismatch" }))
