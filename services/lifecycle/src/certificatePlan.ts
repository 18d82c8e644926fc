/**
 * What a new connection's customer may set in his DNS once, so that certificates need nothing further of him.
 *
 * Owns: where `_acme-challenge` would lead in our own zone, and asking the certifier for the lasting record. Leaves to libs/connection which
 * of it is offered; to libs/domain the names. Built against: a create that waits for the certifier. While it is away, or
 * where no CA takes such records, the record is not offered, and nothing else is different.
 */
import type { CertificateTarget } from "@connect-domain/connection/certificateRecords.ts"
import { acmeChallengeName, acmePersistName, delegationTarget } from "@connect-domain/domain/acmeNames.ts"
import { readAcmeZone } from "@connect-domain/domain/acmeZone.ts"
import { persistRecord } from "@connect-domain/messages/certifier.ts"
import type { createConnection } from "@connect-domain/messages/lifecycle.ts"
import { Calls } from "@connect-domain/nats/Calls.ts"
import { Clock, Effect } from "effect"

type Request = typeof createConnection.payload.Type
export type CertificatePlan = Pick<CertificateTarget, "delegation" | "persist">

const timeoutMillis = 500
/** Not asked again for so long after it was away, or when no CA takes such records (as far as it has seen one). Milliseconds. */
const restFor = 5_000

export const makeCertificatePlan = Effect.gen(function* () {
  const calls = yield* Calls
  const zone = yield* readAcmeZone
  /** By environment: before then the answer is none. */
  const restUntil = new Map<string, number>()

  const lasting = Effect.fnUntraced(function* (environment: Request["environment"], hostname: string) {
    const now = yield* Clock.currentTimeMillis
    if ((restUntil.get(environment) ?? 0) > now) return []
    const asked = yield* Effect.option(calls.request(persistRecord, { environment, hostname }, { timeoutMillis }))
    const values = asked._tag === "Some" ? asked.value.values : []
    if (values.length === 0) restUntil.set(environment, now + restFor)
    return values
  })

  return ({ environment, hostname, tenant_id }: Pick<Request, "environment" | "hostname" | "tenant_id">): Effect.Effect<CertificatePlan> =>
    Effect.map(lasting(environment, hostname), (values) => ({
      delegation: zone === null ? null : { host: acmeChallengeName(hostname), target: delegationTarget(tenant_id, hostname, zone) },
      persist: { host: acmePersistName(hostname), values }
    }))
})
