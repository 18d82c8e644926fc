/**
 * The TXT values of DNS-01 that we have written somewhere, so that each is taken away again whoever dies.
 *
 * Owns: the table `certifier.challenge_texts`: a row is there before its value is written and goes after its value is gone. Leaves writing to
 * `DnsAnswers.ts`. Built against: a worker that was stopped and, woken up, takes away the value that its successor's order relies on: every
 * worker has a row of its own (its fence), and a value goes with its last row.
 */
import { Database, type DatabaseError } from "@connect-domain/database/Database.ts"
import type { SealedCredential } from "@connect-domain/messages/record.ts"
import { Context, Effect, Layer } from "effect"
import type { Claim } from "../Claim.ts"

/** Longer than a worker is ever busy with one value: writing, waiting for name servers, the CA's look. Minutes. */
export const keptMinutes = 10

export interface LeftText extends Pick<Claim, "claim_id" | "tenant_id" | "connection_id" | "hostname" | "fence"> {
  readonly value: string
  readonly tries: number
  readonly age_days: number
}

type Worker = Pick<Claim, "claim_id" | "fence">

export class ChallengeTexts extends Context.Service<
  ChallengeTexts,
  {
    /** The value is about to be written by this worker. */
    readonly begin: (worker: Worker, value: string) => Effect.Effect<void, DatabaseError>
    /** True: the worker still has its claim and nobody else works with the value, so it may go. */
    readonly isOurs: (worker: Worker, value: string) => Effect.Effect<boolean, DatabaseError>
    /** The value is gone, or somebody else's. */
    readonly end: (worker: Worker, value: string) => Effect.Effect<void, DatabaseError>
    /** Takes up values that nobody works with any more, at most `limit`; each is somebody else's again only minutes later. */
    readonly left: (limit: number) => Effect.Effect<ReadonlyArray<LeftText>, DatabaseError>
    /** Milliseconds until the next one's time comes; undefined when there is none. */
    readonly nextLeft: Effect.Effect<number | undefined, DatabaseError>
    /** The sealed DNS credentials of the connection's application, the newest first. */
    readonly credentials: (connectionId: string) => Effect.Effect<ReadonlyArray<SealedCredential>, DatabaseError>
  }
>()("certifier/ChallengeTexts") {
  static readonly layer = Layer.effect(ChallengeTexts, Effect.map(Database, make))
}

function make({ query }: Database["Service"]): ChallengeTexts["Service"] {
  return ChallengeTexts.of({
    begin: ({ claim_id, fence }, value) =>
      Effect.asVoid(
        query(
          (sql) => sql`
            insert into certifier.challenge_texts (value, fence, claim_id, remove_after)
            values (${value}, ${fence}, ${claim_id}, now() + make_interval(mins => ${keptMinutes}))
            on conflict (value, fence) do update set remove_after = excluded.remove_after`
        )
      ),

    isOurs: ({ claim_id, fence }, value) =>
      Effect.map(
        query(
          (sql) => sql`
            select 1 from certifier.claims c where c.claim_id = ${claim_id} and c.fence = ${fence}
              and not exists (select from certifier.challenge_texts t where t.value = ${value} and t.fence > ${fence})`
        ),
        (rows) => rows.length === 1
      ),

    end: ({ fence }, value) =>
      Effect.asVoid(query((sql) => sql`delete from certifier.challenge_texts where value = ${value} and fence = ${fence}`)),

    left: (limit) =>
      query<LeftText>(
        (sql) => sql`
          with superseded as (
            -- Somebody else works with the value by now and takes it away.
            delete from certifier.challenge_texts t where remove_after <= now()
              and exists (select from certifier.challenge_texts n where n.value = t.value and n.fence > t.fence)
          ), due as (
            select value, fence from certifier.challenge_texts t where remove_after <= now()
              and not exists (select from certifier.challenge_texts n where n.value = t.value and n.fence > t.fence)
            order by remove_after limit ${limit} for update skip locked
          )
          update certifier.challenge_texts t
            set tries = t.tries + 1, remove_after = now() + make_interval(mins => least(${keptMinutes} * (t.tries + 1), 360))
          from due, certifier.claims c
          where t.value = due.value and t.fence = due.fence and c.claim_id = t.claim_id
          returning t.value, t.fence, t.tries, t.claim_id, c.tenant_id, c.connection_id, c.hostname,
            extract(epoch from now() - t.created_at)::float8 / 86400 as age_days`
      ),

    nextLeft: Effect.map(
      query<{ millis: number | null }>(
        (sql) => sql`select extract(epoch from min(remove_after) - now())::float8 * 1000 as millis from certifier.challenge_texts`
      ),
      (rows) => rows[0]?.millis ?? undefined
    ),

    credentials: (connectionId) =>
      query<SealedCredential>(
        (sql) => sql`
          select c.id::text as credential_id, c.tenant_id::text as tenant_id, c.provider, c.sealed
          from gateway.published_credentials c
          join lifecycle.published_connections p on p.application_id = c.application_id and p.tenant_id = c.tenant_id
          where p.id = ${connectionId}::uuid order by c.created_at desc, c.id desc`
      )
  })
}
