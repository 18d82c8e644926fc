/**
 * Certificates that callers bring themselves: kept like ours, watched like ours, and followed by a CA's near their end.
 *
 * Owns: the way of an upload into the tables, and back to a CA. Leaves to `checkImported.ts` the rules, to the scheduler publishing it (the
 * row is `stored`, as after an order), to `warnings.ts` what is said before it ends.
 * Built against: an order under way that overwrites what was just uploaded. The upload takes a fence of its own, so a worker that holds the
 * claim has lost it; it needs no lease, because its one transaction is all it does.
 */
import { Database, type DatabaseError } from "@connect-domain/database/Database.ts"
import { uuidv7 } from "@connect-domain/domain/uuidv7.ts"
import { Clock, Context, Data, Effect, Layer } from "effect"
import { type Certificate, Certificates } from "../Certificates.ts"
import type { Claim } from "../Claim.ts"
import { importedDirectory, isImported } from "../issuerOrigin.ts"
import type { Checked } from "./checkImported.ts"
import { nextWarning } from "./warnings.ts"

export type ImportClaim = Pick<Claim, "claim_id" | "connection_id" | "tenant_id" | "hostname" | "environment">

/** The claim was released: nothing may be stored for it any more. */
export class ClaimOver extends Data.TaggedError("ClaimOver")<{ readonly claimId: string }> {}

/** Why a claim is replaced whose imported certificate was taken back. */
const importWithdrawn = "import withdrawn"

export class Imports extends Context.Service<
  Imports,
  {
    /** Stored when this returns; what was uploaded or ordered before is superseded once this one is served. */
    readonly store: (
      claim: ImportClaim,
      checked: Checked,
      seal: (certificateId: string) => string
    ) => Effect.Effect<Certificate, DatabaseError | ClaimOver>
    /** Asks for a CA's certificate in place of an imported one; gives back what is served now. Idempotent. */
    readonly withdraw: (claim: ImportClaim) => Effect.Effect<Certificate | undefined, DatabaseError>
  }
>()("certifier/Imports") {
  static readonly layer = Layer.effect(
    Imports,
    Effect.gen(function* () {
      return make(yield* Database, yield* Certificates)
    })
  )
}

const make = ({ query, transaction }: Database["Service"], certificates: Certificates["Service"]): Imports["Service"] => {
  const takeFence = (claim: ImportClaim) =>
    query<{ fence: number }>(
      (sql) => sql`
        update certifier.claims set fence = nextval('certifier.fences'), leased = false, due_at = now(), state = 'held',
          order_url = null, order_key_sealed = null, order_directory = null, replace_reason = null,
          failures = 0, failed_kind = null, last_error = null, failing_since = null, retry_at = null, paused_until = null, updated_at = now()
        where claim_id = ${claim.claim_id} and state <> 'released' returning fence`
    )

  const store: Imports["Service"]["store"] = Effect.fnUntraced(function* (claim, checked, seal) {
    const certificate = toCertificate(claim, checked, seal)
    const storing = Effect.gen(function* () {
      yield* query(
        (sql) => sql`
          insert into certifier.claims (claim_id, connection_id, tenant_id, hostname, environment, state)
          values (${claim.claim_id}, ${claim.connection_id}, ${claim.tenant_id}, ${claim.hostname}, ${claim.environment}, 'held')
          on conflict do nothing`
      )
      const [row] = yield* takeFence(claim)
      if (row === undefined) return yield* new ClaimOver({ claimId: claim.claim_id })
      yield* certificates.store({ claim_id: claim.claim_id, fence: row.fence }, certificate)
      // Due again at the first warning even if it is published by somebody who crashes before planning it.
      const warnAt = nextWarning(
        { notBefore: certificate.not_before, notAfter: certificate.not_after },
        new Date(yield* Clock.currentTimeMillis)
      )
      yield* query(
        (sql) => sql`update certifier.claims set renew_at = ${warnAt}, renew_because = 'lifetime' where claim_id = ${claim.claim_id}`
      )
    })
    yield* transaction(storing).pipe(Effect.catchTag("LeaseLost", () => Effect.fail(new ClaimOver({ claimId: claim.claim_id }))))
    return certificate
  })

  const withdraw: Imports["Service"]["withdraw"] = (claim) =>
    transaction(
      Effect.gen(function* () {
        yield* query((sql) => sql`select 1 from certifier.claims where claim_id = ${claim.claim_id} for update`)
        const rows = yield* certificates.ofClaim(claim.claim_id)
        const current = rows.find(({ state }) => state === "current")
        const stored = rows.find(({ state }) => state === "stored")
        if (stored !== undefined && isImported(stored)) {
          yield* query(
            (sql) =>
              sql`update certifier.certificates set state = 'destroyed', key_sealed = null where id = ${stored.id} and state = 'stored'`
          )
        } else if (current === undefined || !isImported(current)) return current
        // Without anything served the claim waits for its first certificate again; one of ours that is served still is good enough.
        const reason = current !== undefined && isImported(current) ? importWithdrawn : null
        yield* query(
          (sql) => sql`
            update certifier.claims set replace_reason = ${reason}, fence = nextval('certifier.fences'),
              leased = false, due_at = now(), state = ${current === undefined ? "wanted" : "held"}, renew_at = null, window_start = null, window_end = null,
              failures = 0, retry_at = null, updated_at = now()
            where claim_id = ${claim.claim_id} and state <> 'released'`
        )
        return current
      })
    )

  return Imports.of({ store, withdraw })
}

const toCertificate = (claim: ImportClaim, { chain, facts }: Checked, seal: (id: string) => string): Certificate => {
  const id = uuidv7()
  return {
    id,
    claim_id: claim.claim_id,
    state: "stored",
    names: facts.names,
    environment: claim.environment,
    chain,
    key_sealed: seal(id),
    serial: facts.serial,
    not_before: facts.notBefore,
    not_after: facts.notAfter,
    // Who signed it, as its issuer calls itself.
    ca: /(?:^|, )O=([^,]+)/.exec(facts.issuer)?.[1] ?? /(?:^|, )CN=([^,]+)/.exec(facts.issuer)?.[1] ?? "imported",
    directory: importedDirectory,
    account: null,
    issuer: facts.issuer,
    top_fingerprint: facts.topFingerprint,
    cert_id: null,
    challenge: null,
    validated_at: null,
    profile: null
  }
}
