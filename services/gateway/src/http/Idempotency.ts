/**
 * `Idempotency-Key`: the same request sent twice is done once and answered twice (requirement P4).
 *
 * Owns: the record per (tenant, route, key): body hash, the new object's id fixed before its effect, a lock while it runs, the answer,
 * sealed because it may show a secret once. Kept 48 h. Leaves to handlers: an effect that is idempotent by that id (`elsewhere`) or lies
 * in our own transaction (`here`).
 *
 * A crash at any point: before the record, nothing happened. After it, a repetition finds the lock, and once that has run out takes over
 * with the same id: either the effect committed together with the answer (`here`), or it is asked for again under its id (`elsewhere`).
 */
import { createHash } from "node:crypto"
import { Database, type DatabaseError } from "@connect-domain/database/Database.ts"
import { uuidv7 } from "@connect-domain/domain/uuidv7.ts"
import type { Place, Vault } from "@connect-domain/secrets/Vault.ts"
import { Context, Effect, Layer, Result, Schedule } from "effect"
import { Settings } from "../Settings.ts"
import { ApiError, fromDatabase, internal, invalid } from "./ApiError.ts"

/** Longer than any creating call can take. Seconds. */
const lockSeconds = 12

export interface Answer {
  readonly status: number
  readonly body: string
  readonly etag: string | null
}

export interface Ticket {
  readonly tenantId: string
  readonly route: string
  readonly keyHash: Buffer
  readonly plannedId: string
}

interface Row {
  readonly planned_id: string
  readonly status: number | null
  readonly sealed: string | null
  readonly etag: string | null
  readonly same_body: boolean
  readonly locked: boolean
}

const sha256 = (text: string): Buffer => createHash("sha256").update(text).digest()
const placeOf = (ticket: Ticket): Place => ({
  tenant: ticket.tenantId,
  table: "gateway.idempotency",
  column: "sealed",
  row: `${ticket.route} ${ticket.keyHash.toString("hex")}`
})

const running = new ApiError({
  code: "idempotency_conflict",
  message: "a request with this Idempotency-Key is still running",
  headers: { "retry-after": "1" }
})
const otherBody = new ApiError({
  code: "idempotency_conflict",
  status: 422,
  message: "this Idempotency-Key was used with another body"
})

export class Idempotency extends Context.Service<
  Idempotency,
  {
    /** A ticket to go ahead with, or the answer that was given before. */
    readonly begin: (
      tenantId: string,
      route: string,
      key: string,
      body: string
    ) => Effect.Effect<{ readonly ticket: Ticket } | { readonly answer: Answer }, ApiError>
    /** Keeps the answer; within the effect's transaction where there is one. */
    readonly finish: (ticket: Ticket, answer: Answer) => Effect.Effect<void, DatabaseError>
    /** It did not come to an answer worth keeping: the next try may start at once, under the same id. */
    readonly release: (ticket: Ticket) => Effect.Effect<void>
  }
>()("gateway/http/Idempotency") {
  static readonly layer = Layer.effect(
    Idempotency,
    Effect.gen(function* () {
      const database = yield* Database
      const { vault } = yield* Settings
      yield* Effect.forkScoped(forgetOld(database).pipe(Effect.repeat(Schedule.spaced("1 hour"))))
      return Idempotency.of({
        begin: (tenantId, route, key, body) => begin(database, vault, tenantId, route, key, body),
        finish: (ticket, answer) =>
          Effect.asVoid(
            database.query(
              (sql) => sql`
                  update gateway.idempotency set status = ${answer.status}, sealed = ${vault.seal(answer.body, placeOf(ticket))},
                    etag = ${answer.etag}
                  where tenant_id = ${ticket.tenantId} and route = ${ticket.route} and key_hash = ${ticket.keyHash}`
            )
          ),
        release: (ticket) =>
          Effect.ignore(
            database.query(
              (sql) => sql`
                  update gateway.idempotency set locked_until = now()
                  where tenant_id = ${ticket.tenantId} and route = ${ticket.route} and key_hash = ${ticket.keyHash} and status is null`
            )
          )
      })
    })
  )
}

const begin = (database: Database["Service"], vault: Vault, tenantId: string, route: string, key: string, body: string) =>
  Effect.gen(function* () {
    if (!/^[\x21-\x7e]{1,255}$/.test(key)) {
      return yield* invalid({ field: "Idempotency-Key", message: "must be 1 to 255 visible ASCII characters" })
    }
    const keyHash = sha256(key)
    const bodyHash = sha256(body)
    const ticketOf = (plannedId: string): Ticket => ({ tenantId, route, keyHash, plannedId })
    const plannedId = uuidv7()
    const inserted = yield* Effect.mapError(
      database.query(
        (sql) => sql`
          insert into gateway.idempotency (tenant_id, route, key_hash, body_hash, planned_id, locked_until)
          values (${tenantId}, ${route}, ${keyHash}, ${bodyHash}, ${plannedId}, now() + make_interval(secs => ${lockSeconds}))
          on conflict do nothing returning planned_id`
      ),
      fromDatabase
    )
    if (inserted.length === 1) return { ticket: ticketOf(plannedId) }
    const row = yield* readRow(database, ticketOf(plannedId), bodyHash)
    if (row === undefined) return yield* running // it was forgotten this very moment
    if (!row.same_body) return yield* otherBody
    if (row.status !== null) return { answer: yield* openAnswer(vault, ticketOf(row.planned_id), row.status, row) }
    if (row.locked || !(yield* takeOver(database, ticketOf(row.planned_id)))) return yield* running
    return { ticket: ticketOf(row.planned_id) }
  })

const readRow = (database: Database["Service"], ticket: Ticket, bodyHash: Buffer): Effect.Effect<Row | undefined, ApiError> =>
  Effect.mapBoth(
    database.query<Row>(
      (sql) => sql`
        select planned_id, status, sealed, etag, body_hash = ${bodyHash} as same_body, locked_until > now() as locked from gateway.idempotency
        where tenant_id = ${ticket.tenantId} and route = ${ticket.route} and key_hash = ${ticket.keyHash}`
    ),
    { onFailure: fromDatabase, onSuccess: (rows) => rows[0] }
  )

const takeOver = (database: Database["Service"], ticket: Ticket): Effect.Effect<boolean, ApiError> =>
  Effect.mapBoth(
    database.query(
      (sql) => sql`
        update gateway.idempotency set locked_until = now() + make_interval(secs => ${lockSeconds})
        where tenant_id = ${ticket.tenantId} and route = ${ticket.route} and key_hash = ${ticket.keyHash}
          and status is null and locked_until <= now()
        returning 1 as taken`
    ),
    { onFailure: fromDatabase, onSuccess: (rows) => rows.length === 1 }
  )

const openAnswer = (vault: Vault, ticket: Ticket, status: number, { sealed, etag }: Row): Effect.Effect<Answer, ApiError> => {
  const opened = vault.openText(sealed ?? "", placeOf(ticket))
  return Result.isSuccess(opened) ? Effect.succeed({ status, body: opened.success, etag }) : Effect.fail(internal(opened.failure))
}

const forgetOld = (database: Database["Service"]) =>
  Effect.ignore(database.query((sql) => sql`delete from gateway.idempotency where created_at < now() - interval '48 hours'`))
