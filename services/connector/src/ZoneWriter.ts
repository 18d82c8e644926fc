/**
 * The provider zone's actor: one write at a time in a zone, planned against what stands there.
 *
 * Owns: choosing the credential whose account holds the zone, the lease, plan → apply. Leaves to `ChangePlan` what may change, to providers
 * how, to the lifecycle when and whether to try again. Built against two writers that plan from the same reading: the lease keeps them
 * apart, and where it can't (a provider's API can't be fenced) the plan's expected values do.
 */
import { type Change, planChanges, planRemoval } from "@connect-domain/dns-provider/ChangePlan.ts"
import { type DnsProvider, DnsProviderError, type Reason, Unsupported } from "@connect-domain/dns-provider/DnsProvider.ts"
import type { Zone } from "@connect-domain/dns-provider/RecordSet.ts"
import type { DnsRecord } from "@connect-domain/domain/DnsRecord.ts"
import type { SealedCredential } from "@connect-domain/messages/record.ts"
import { Lease } from "@connect-domain/nats/Lease.ts"
import { Context, Effect, Layer, Result } from "effect"
import { Credentials } from "./Credentials.ts"

export type WriteOrder = {
  readonly hostname: string
  readonly purpose: "challenge" | "records" | "cleanup"
  readonly records: ReadonlyArray<DnsRecord>
  readonly credentials: ReadonlyArray<SealedCredential>
  /** May foreign addresses and aliases at the planned names be replaced? */
  readonly replace: boolean
}
/** Which provider wrote (null: none holds the zone), or who must act instead. */
export type WriteOutcome = { readonly provider: string | null; readonly failure: Reason | null }

/** A provider answers within seconds; a holder that is gone blocks its zone no longer than this. */
const leaseSeconds = 15

export class ZoneWriter extends Context.Service<
  ZoneWriter,
  {
    /** Idempotent. Fails only when the lease can't be taken or was lost: the same order may be given again. */
    readonly write: (order: WriteOrder) => Effect.Effect<WriteOutcome, Unleased>
  }
>()("connector/ZoneWriter") {
  static readonly layer = Layer.effect(
    ZoneWriter,
    Effect.gen(function* () {
      const credentials = yield* Credentials
      const lease = yield* Lease
      const inZone = (holder: Holder, order: WriteOrder) =>
        lease
          .withLease(leaseName(holder), { ttlSeconds: leaseSeconds }, writeInZone(holder, order), { onHeld: "wait" })
          .pipe(Effect.map((): WriteOutcome => ({ provider: holder.key, failure: null })))
      return ZoneWriter.of({
        write: (order) =>
          Effect.gen(function* () {
            const holder = yield* findHolder(credentials, order)
            if ("reason" in holder) return { provider: holder.key, failure: holder.reason }
            return yield* Effect.catchTag(inZone(holder, order), "DnsProviderError", (error) =>
              Effect.as(Effect.logInfo(error.message), { provider: holder.key, failure: error.reason })
            )
          }).pipe(Effect.withSpan("connector.write", { attributes: { hostname: order.hostname, purpose: order.purpose } }))
      })
    })
  )
}

type Unleased = Effect.Error<ReturnType<(typeof Lease)["Service"]["withLease"]>>
type Holder = { readonly key: string; readonly provider: (typeof DnsProvider)["Service"]; readonly zone: Zone }
type NoHolder = { readonly key: string | null; readonly reason: Reason }

const leaseName = ({ key, zone }: Holder): string => `zone/${key}/${zone.name.replace(/[^a-z0-9._-]/g, "=")}`

/** The first credential whose account holds the zone; otherwise the reason that a person can do most about. */
const findHolder = Effect.fnUntraced(function* (credentials: (typeof Credentials)["Service"], order: WriteOrder) {
  let nearest: NoHolder = {
    key: null,
    reason: new Unsupported({ capability: "credential", remedy: "this application has no DNS credential; set the records by hand" })
  }
  for (const credential of order.credentials) {
    const found = yield* Effect.result(
      Effect.flatMap(credentials.open(credential), ({ provider }) =>
        Effect.map(provider.findZone(order.hostname), (zone): Holder => ({ key: credential.provider, provider, zone }))
      )
    )
    if (Result.isSuccess(found)) return found.success
    const reason = found.failure instanceof DnsProviderError ? found.failure.reason : found.failure
    if (nearest.key === null || reason._tag !== "ZoneNotFound") nearest = { key: credential.provider, reason }
  }
  return nearest
})

const writeInZone = (holder: Holder, order: WriteOrder) =>
  planAndApply(holder, order).pipe(
    // Somebody changed the zone between reading and writing: the plan is made once more from what stands there now.
    Effect.catchIf(
      (error) => error.operation === "apply" && error.reason._tag === "Conflict",
      () => planAndApply(holder, order)
    )
  )

const planAndApply = Effect.fnUntraced(function* ({ key, provider, zone }: Holder, order: WriteOrder) {
  const current = yield* provider.read(zone, [...new Set(order.records.map((record) => record.host))])
  const plan: Result.Result<ReadonlyArray<Change>, Reason> = order.purpose === "cleanup"
    ? Result.succeed(planRemoval(current, order.records))
    : planChanges(current, order.records, { replaceForeign: order.replace && order.purpose === "records" })
  if (Result.isFailure(plan))
    return yield* new DnsProviderError({ provider: key, operation: "read", zone: "unchanged", reason: plan.failure })
  if (plan.success.length === 0) return
  // What stood before is part of the plan (`expect`), so this line is enough to undo it.
  yield* Effect.logInfo("writing records", { provider: key, zone: zone.name, changes: plan.success })
  yield* provider.apply(zone, plan.success)
})
