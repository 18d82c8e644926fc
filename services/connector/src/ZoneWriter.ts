/**
 * The provider zone's actor: one write at a time in a zone, planned against what stands there.
 *
 * Owns: choosing the credential whose account holds the zone, the lease, plan → apply. Leaves to `ChangePlan` what may change, to providers
 * how, to the lifecycle when and whether to try again. Built against two writers that plan from the same reading: the lease keeps them
 * apart, and where it can't (a provider's API can't be fenced) the plan's expected values do.
 */
import { type Change, planChanges, planRemoval } from "@connect-domain/dns-provider/ChangePlan.ts"
import { type DnsProvider, DnsProviderError, type Reason, Unsupported } from "@connect-domain/dns-provider/DnsProvider.ts"
import { isInZone, type RecordSet, type Zone } from "@connect-domain/dns-provider/RecordSet.ts"
import type { DnsRecord } from "@connect-domain/domain/DnsRecord.ts"
import type { SealedCredential } from "@connect-domain/messages/record.ts"
import { Lease, type LeaseError } from "@connect-domain/nats/Lease.ts"
import type { NatsUnavailable } from "@connect-domain/nats/Nats.ts"
import { Context, Effect, Layer, Result } from "effect"
import { Credentials } from "./Credentials.ts"

export type WriteOrder = {
  readonly hostname: string
  readonly purpose: "challenge" | "records" | "cleanup"
  readonly records: ReadonlyArray<DnsRecord>
  /** May foreign addresses and aliases at the planned names be replaced? */
  readonly replace: boolean
}
/** Which provider wrote (null: none holds the zone), or who must act instead. `changed`: something was not so already. */
export type WriteOutcome = { readonly provider: string | null; readonly failure: Reason | null; readonly changed: boolean }
/** A provider that needs no credential of a customer's. */
export type Through = { readonly key: string; readonly provider: (typeof DnsProvider)["Service"] }

/** A provider answers within seconds; a holder that is gone blocks its zone no longer than this. */
const leaseSeconds = 15

export class ZoneWriter extends Context.Service<
  ZoneWriter,
  {
    /** Idempotent. Fails only when the lease can't be taken or was lost: the same order may be given again. */
    readonly write: (order: WriteOrder & { readonly credentials: ReadonlyArray<SealedCredential> }) => Effect.Effect<WriteOutcome, Unleased>
    /** The same in a zone of ours. */
    readonly writeOwn: (through: Through, order: WriteOrder) => Effect.Effect<WriteOutcome, Unleased>
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
          .pipe(Effect.map((changed): WriteOutcome => ({ provider: holder.key, failure: null, changed })))
      const writeWith = (candidates: ReadonlyArray<Candidate>, order: WriteOrder) =>
        Effect.gen(function* () {
          const holder = yield* findHolder(candidates, order)
          if ("reason" in holder) return { provider: holder.key, failure: holder.reason, changed: false }
          return yield* Effect.catchTag(inZone(holder, order), "DnsProviderError", (error) =>
            Effect.as(Effect.logInfo(error.message), { provider: holder.key, failure: error.reason, changed: false })
          )
        }).pipe(Effect.withSpan("connector.write", { attributes: { hostname: order.hostname, purpose: order.purpose } }))
      return ZoneWriter.of({
        write: (order) =>
          writeWith(
            order.credentials.map((sealed) => ({
              key: sealed.provider,
              open: Effect.map(credentials.open(sealed), ({ provider }) => provider)
            })),
            order
          ),
        writeOwn: ({ key, provider }, order) => writeWith([{ key, open: Effect.succeed(provider) }], order)
      })
    })
  )
}

type Unleased = LeaseError | NatsUnavailable
type Holder = { readonly key: string; readonly provider: (typeof DnsProvider)["Service"]; readonly zone: Zone }
type NoHolder = { readonly key: string | null; readonly reason: Reason }
type Candidate = { readonly key: string; readonly open: Effect.Effect<(typeof DnsProvider)["Service"], Reason> }

const leaseName = ({ key, zone }: Holder): string => `zone/${key}/${zone.name.replace(/[^a-z0-9._-]/g, "=")}`

/** The first credential whose account holds the zone; otherwise the reason that a person can do most about. */
const findHolder = Effect.fnUntraced(function* (candidates: ReadonlyArray<Candidate>, order: WriteOrder) {
  let nearest: NoHolder = {
    key: null,
    reason: new Unsupported({ capability: "credential", remedy: "this application has no DNS credential; set the records by hand" })
  }
  for (const { key, open } of candidates) {
    const found = yield* Effect.result(
      Effect.flatMap(open, (provider) => Effect.map(provider.findZone(order.hostname), (zone): Holder => ({ key, provider, zone })))
    )
    if (Result.isSuccess(found)) return found.success
    const reason = found.failure instanceof DnsProviderError ? found.failure.reason : found.failure
    if (nearest.key === null || reason._tag !== "ZoneNotFound") nearest = { key, reason }
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
  const plan = planOrder(current, order, zone)
  if (Result.isFailure(plan))
    return yield* new DnsProviderError({ provider: key, operation: "read", zone: "unchanged", reason: plan.failure })
  if (plan.success.length === 0) return false
  // What stood before is part of the plan (`expect`), so this line is enough to undo it.
  yield* Effect.logInfo("writing records", { provider: key, zone: zone.name, changes: plan.success })
  yield* provider.apply(zone, plan.success)
  return true
})

/** What is merely useful is written where nothing stands in its way, replaces nothing, and stops nothing. */
const planOrder = (current: ReadonlyArray<RecordSet>, order: WriteOrder, zone: Zone): Result.Result<ReadonlyArray<Change>, Reason> => {
  if (order.purpose === "cleanup") return Result.succeed(planRemoval(current, order.records))
  const [needed, useful] = [order.records.filter(isNeeded), order.records.filter((record) => !isNeeded(record))]
  const extra = [...Map.groupBy(useful, ({ host }) => host)].flatMap(([host, records]) => {
    const planned = planChanges(current, records, { replaceForeign: false })
    return Result.isSuccess(planned) && isInZone(host, zone.name) && !needed.some((record) => record.host === host) ? planned.success : []
  })
  const plan = planChanges(current, needed, { replaceForeign: order.replace && order.purpose === "records" })
  return Result.map(plan, (changes) => [...changes, ...extra])
}
const isNeeded = ({ required }: DnsRecord): boolean => required !== false
