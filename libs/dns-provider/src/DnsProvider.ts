/**
 * What a DNS provider must do for us: find the zone, read names, apply a plan, prove access.
 *
 * Owns: the meaning of the four calls. Leaves to `ChangePlan`: what to change and whether that is safe. Leaves to the caller: waiting,
 * retrying and giving up; a provider answers once, within seconds, and says who must act when it can't.
 *
 * Rules for every implementation, checked by `DnsProviderSuite`:
 * - Idempotent: `apply` of the same plan twice leaves the zone as once.
 * - Only the names in the plan are touched; a record set holds all its values, ours and foreign.
 * - Names are absolute, lower-case, without the trailing dot; TTLs are seconds; TXT values are unquoted.
 * - Safe to call concurrently for different zones; for one zone the caller holds a lease.
 *
 * Example: zone `acme.test` holds `www CNAME old.example` and `mail A 192.0.2.7`. After
 * `apply(zone, [replace("www.acme.test", "CNAME", ["edge.vendor.example"], { expect: ["old.example"] })])`
 * it holds `www CNAME edge.vendor.example` and `mail A 192.0.2.7`. Had `www` meanwhile become an A record, nothing
 * changes and the call fails with `Conflict`.
 */
import { Context, type Effect, Schema } from "effect"
import type { Change } from "./ChangePlan.ts"
import type { RecordSet, Zone } from "./RecordSet.ts"

/** Who acts next, and on what. Anything that fits none of these is a defect and carries the provider's raw answer, secrets removed. */
export class RateLimited extends Schema.TaggedError<RateLimited>()("RateLimited", { retryAfterSeconds: Schema.Number }) {}
export class Unavailable extends Schema.TaggedError<Unavailable>()("Unavailable", { detail: Schema.String }) {}
export class AccessDenied extends Schema.TaggedError<AccessDenied>()("AccessDenied", { remedy: Schema.String }) {}
export class ZoneNotFound extends Schema.TaggedError<ZoneNotFound>()("ZoneNotFound", { hostname: Schema.String }) {}
export class Conflict extends Schema.TaggedError<Conflict>()("Conflict", { name: Schema.String, found: Schema.Array(Schema.String) }) {}
export class Unsupported extends Schema.TaggedError<Unsupported>()("Unsupported", { capability: Schema.String, remedy: Schema.String }) {}

export const Reason = Schema.Union([RateLimited, Unavailable, AccessDenied, ZoneNotFound, Conflict, Unsupported])
export type Reason = typeof Reason.Type
export type Operation = "findZone" | "read" | "apply" | "checkAccess"

export class DnsProviderError extends Schema.TaggedError<DnsProviderError>()("DnsProviderError", {
  provider: Schema.String,
  operation: Schema.Literals(["findZone", "read", "apply", "checkAccess"]),
  /** After a failed `apply`: is the zone as it was, or unknown? */
  zone: Schema.Literals(["unchanged", "unknown"]),
  reason: Reason
}) {
  override get message() {
    return `${this.provider} ${this.operation}: ${explain(this.reason)}`
  }
}

/** A sentence for the person who must act; never holds a secret. */
export const explain = (reason: Reason): string => {
  switch (reason._tag) {
    case "RateLimited":
      return `the provider asks to wait ${Math.ceil(reason.retryAfterSeconds)} s`
    case "Unavailable":
      return `the provider does not answer: ${reason.detail}`
    case "AccessDenied":
      return reason.remedy
    case "ZoneNotFound":
      return `this account holds no zone for ${reason.hostname}; use a credential of the account where the domain's DNS is`
    case "Conflict":
      return `${reason.name} holds ${reason.found.length === 0 ? "nothing any more" : reason.found.join(", ")}, which this change must not overwrite; remove it first, or agree to its replacement`
    case "Unsupported":
      return reason.remedy
  }
}

export class DnsProvider extends Context.Service<
  DnsProvider,
  {
    /** The most specific zone of this account that contains `hostname`; `ZoneNotFound` when the account holds none. */
    readonly findZone: (hostname: string) => Effect.Effect<Zone, DnsProviderError>
    /** The record sets at exactly these names, any type; an empty array when there is nothing there. */
    readonly read: (zone: Zone, names: ReadonlyArray<string>) => Effect.Effect<ReadonlyArray<RecordSet>, DnsProviderError>
    /** All changes or, where the provider's API can't do that, as many as it accepts: then the error says `unknown`. */
    readonly apply: (zone: Zone, changes: ReadonlyArray<Change>) => Effect.Effect<void, DnsProviderError>
    /** Proves, without writing, that the credential may do the three calls above for `hostname`. */
    readonly checkAccess: (hostname: string) => Effect.Effect<void, DnsProviderError>
  }
>()("connector/DnsProvider") {}
