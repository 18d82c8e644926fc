/**
 * Which of a CA's chains for one certificate is served (RFC 8555 §7.4.2).
 *
 * Owns: the choice, by the name of the root that the chain ends under. Leaves to `orders.ts`: downloading. Built against: old devices that
 * trust one root of a CA and not the other, and a choice that fails an issuance: what can't be had gives way to the CA's own chain.
 */
import { X509Certificate } from "node:crypto"
import { Effect } from "effect"
import type { AcmeSession } from "./AcmeSession.ts"
import type { Account } from "./accounts.ts"
import { splitChain } from "./certificateFacts.ts"
import { downloadChain } from "./orders.ts"

/** The common name of the root above the chain, which is not part of it; undefined when it can't be read. */
export const rootNameOf = (chain: string): string | undefined => {
  const last = splitChain(chain).at(-1)
  try {
    return last === undefined ? undefined : /^CN=(.+)$/m.exec(new X509Certificate(last).issuer)?.[1]
  } catch {
    return undefined
  }
}

export const downloadPreferred = Effect.fnUntraced(function* (
  session: AcmeSession,
  account: Account,
  url: string,
  preferred: string | undefined
) {
  const first = yield* downloadChain(session, account, url)
  if (preferred === undefined || rootNameOf(first.chain) === preferred) return first
  for (const alternate of first.alternates) {
    const other = yield* downloadChain(session, account, alternate).pipe(Effect.orElseSucceed(() => undefined))
    if (other !== undefined && rootNameOf(other.chain) === preferred) return other
  }
  yield* Effect.logInfo("the CA offers no chain under the preferred root; its own is served", { preferred, root: rootNameOf(first.chain) })
  return first
})
