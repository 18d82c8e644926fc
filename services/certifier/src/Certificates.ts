/**
 * Certificates with their sealed keys and where they came from.
 *
 * Owns: the table `certifier.certificates` and the life of a row: stored → current → superseded → destroyed. Leaves to
 * `CertificateBucket.ts`: what edges see of it. Built against: a key that outlives its claim, and a certificate whose origin nobody knows
 * on the day its CA is distrusted.
 */
import { Database, type DatabaseError } from "@connect-domain/database/Database.ts"
import type { Place } from "@connect-domain/secrets/Vault.ts"
import { Context, Effect, Layer } from "effect"
import { LeaseLost } from "./Claim.ts"

export interface Certificate {
  readonly id: string
  readonly claim_id: string
  readonly state: "stored" | "current" | "superseded" | "destroyed"
  readonly names: ReadonlyArray<string>
  readonly environment: "test" | "live"
  readonly chain: string
  readonly key_sealed: string | null
  readonly serial: string
  readonly not_before: Date
  readonly not_after: Date
  readonly ca: string
  readonly directory: string
  readonly account: string | null
  readonly issuer: string
  readonly top_fingerprint: string
  readonly cert_id: string | null
  readonly challenge: string | null
  readonly validated_at: Date | null
  readonly profile: string | null
  /** Why this CA and this challenge; absent or null: nobody chose. */
  readonly why?: string | null
  /** By its CA, because an operator wanted it; absent or null: it is not. */
  readonly revoked_at?: Date | null
}

/** Where a certificate's key is sealed, in the table and in the bucket. */
export const certificateKeyPlace = (claimId: string, certificateId: string): Place => ({
  tenant: claimId,
  table: "certificates",
  column: "key",
  row: certificateId
})

/** How long a superseded certificate stays in its bucket: edges switch within milliseconds, a lifecycle that is down within hours. */
export const supersededHours = 6

type Held = { readonly claim_id: string; readonly fence: number }

export class Certificates extends Context.Service<
  Certificates,
  {
    /** The claim's stored or current certificates, the newest first. */
    readonly ofClaim: (claimId: string) => Effect.Effect<ReadonlyArray<Certificate>, DatabaseError>
    /** Keeps a fresh certificate (state `stored`); refused without the lease. */
    readonly store: (held: Held, certificate: Certificate) => Effect.Effect<void, DatabaseError | LeaseLost>
    /** `stored` becomes `current`, what was current is superseded. In the caller's transaction. */
    readonly promote: (claimId: string, id: string) => Effect.Effect<void, DatabaseError>
    /** Ids of the claim's certificates whose keys exist. */
    readonly idsOf: (claimId: string) => Effect.Effect<ReadonlyArray<string>, DatabaseError>
    /** Destroys every key of the claim. In the caller's transaction. */
    readonly destroy: (claimId: string) => Effect.Effect<void, DatabaseError>
    /** Ids of superseded certificates whose time has come, at most `limit`. */
    readonly toRetire: (limit: number) => Effect.Effect<ReadonlyArray<string>, DatabaseError>
    /** Milliseconds until the next one's time comes; undefined when none waits. */
    readonly nextRetirement: Effect.Effect<number | undefined, DatabaseError>
    readonly retire: (ids: ReadonlyArray<string>) => Effect.Effect<void, DatabaseError>
    /** Ids of all whose keys exist: a `stored` one may be on its way into the bucket. */
    readonly servable: Effect.Effect<ReadonlyArray<string>, DatabaseError>
    readonly byIds: (ids: ReadonlyArray<string>) => Effect.Effect<ReadonlyArray<Certificate>, DatabaseError>
    /** Distinct tops of chains in use, per directory: one certificate stands for all. */
    readonly tops: (directory: string) => Effect.Effect<ReadonlyArray<{ top_fingerprint: string; chain: string }>, DatabaseError>
  }
>()("certifier/Certificates") {
  static readonly layer = Layer.effect(Certificates, Effect.map(Database, make))
}

const columns = `id, claim_id, state, names, environment, chain, key_sealed, serial, not_before, not_after, ca, directory, account, issuer,
  top_fingerprint, cert_id, challenge, validated_at, profile, why, revoked_at`

function make({ query, transaction }: Database["Service"]): Certificates["Service"] {
  return Certificates.of({
    ofClaim: (claimId) =>
      query<Certificate>(
        (sql) => sql`
          select ${sql.unsafe(columns)} from certifier.certificates
          where claim_id = ${claimId} and state in ('stored', 'current') order by created_at desc`
      ),

    store: (held, c) =>
      transaction(
        Effect.gen(function* () {
          // The lock keeps the next holder out until we have committed; without our fence there is nothing to store.
          const rows = yield* query(
            (sql) => sql`
              select 1 from certifier.claims
              where claim_id = ${held.claim_id} and fence = ${held.fence} and state <> 'released' for update`
          )
          if (rows.length === 0) return yield* new LeaseLost({ claimId: held.claim_id })
          yield* query(
            (sql) => sql`update certifier.certificates set state = 'destroyed', key_sealed = null
            where claim_id = ${held.claim_id} and state = 'stored'`
          )
          yield* query(
            (sql) => sql`
              insert into certifier.certificates (id, claim_id, state, names, environment, chain, key_sealed, serial, not_before, not_after,
                ca, directory, account, issuer, top_fingerprint, cert_id, challenge, validated_at, profile, why, fence)
              values (${c.id}, ${c.claim_id}, 'stored', ${sql.array([...c.names])}, ${c.environment}, ${c.chain}, ${c.key_sealed},
                ${c.serial}, ${c.not_before}, ${c.not_after}, ${c.ca}, ${c.directory}, ${c.account}, ${c.issuer}, ${c.top_fingerprint},
                ${c.cert_id}, ${c.challenge}, ${c.validated_at}, ${c.profile}, ${c.why ?? null}, ${held.fence})`
          )
          yield* query(
            (sql) => sql`
              update certifier.claims set order_url = null, order_key_sealed = null, order_directory = null, updated_at = now()
              where claim_id = ${held.claim_id}`
          )
        })
      ),

    promote: (claimId, id) =>
      Effect.gen(function* () {
        yield* query(
          (sql) => sql`
            update certifier.certificates set state = 'superseded', retire_at = now() + make_interval(hours => ${supersededHours})
            where claim_id = ${claimId} and state = 'current' and id <> ${id}`
        )
        yield* query((sql) => sql`update certifier.certificates set state = 'current' where id = ${id} and state = 'stored'`)
      }),

    idsOf: (claimId) =>
      Effect.map(
        query<{ id: string }>((sql) => sql`select id from certifier.certificates where claim_id = ${claimId} and state <> 'destroyed'`),
        (rows) => rows.map((row) => row.id)
      ),

    destroy: (claimId) =>
      Effect.asVoid(
        query(
          (sql) => sql`
            update certifier.certificates set state = 'destroyed', key_sealed = null, retire_at = null
            where claim_id = ${claimId} and state <> 'destroyed'`
        )
      ),

    toRetire: (limit) =>
      Effect.map(
        query<{ id: string }>(
          (sql) => sql`select id from certifier.certificates where retire_at <= now() order by retire_at limit ${limit}`
        ),
        (rows) => rows.map((row) => row.id)
      ),

    nextRetirement: Effect.map(
      query<{ millis: number | null }>(
        (sql) => sql`
          select extract(epoch from min(retire_at) - now())::float8 * 1000 as millis from certifier.certificates where retire_at is not null`
      ),
      (rows) => rows[0]?.millis ?? undefined
    ),

    retire: (ids) =>
      Effect.asVoid(
        query(
          (sql) => sql`
            update certifier.certificates set state = 'destroyed', key_sealed = null, retire_at = null
            where id = any(${sql.array([...ids])}::uuid[]) and state = 'superseded'`
        )
      ),

    servable: Effect.map(
      query<{ id: string }>((sql) => sql`select id from certifier.certificates where state <> 'destroyed'`),
      (rows) => rows.map((row) => row.id)
    ),

    byIds: (ids) =>
      query<Certificate>(
        (sql) => sql`
          select ${sql.unsafe(columns)} from certifier.certificates
          where id = any(${sql.array([...ids])}::uuid[]) and state <> 'destroyed'`
      ),

    tops: (directory) =>
      query<{ top_fingerprint: string; chain: string }>(
        (sql) => sql`
          select distinct on (top_fingerprint) top_fingerprint, chain from certifier.certificates
          where state = 'current' and directory = ${directory}`
      )
  })
}
