/**
 * An endpoint's signing secrets: sealed, shown once, one or two of them alive.
 *
 * Owns: making, rotating, revoking and opening them. Leaves to `Signature.ts` what they sign, to `Endpoints.ts` whose they are.
 * Built against: a rotation that breaks a receiver (the old secret signs on for the overlap), a third secret while two live (refused),
 * and a leak (`revoke` ends the old one with the next attempt).
 */
import { Database, type DatabaseError } from "@connect-domain/database/Database.ts"
import { uuidv7 } from "@connect-domain/domain/uuidv7.ts"
import { keyRing } from "@connect-domain/secrets/KeyRing.ts"
import { makeVault, type Place } from "@connect-domain/secrets/Vault.ts"
import { Config, Context, Duration, Effect, Layer, Option, Result, Schema } from "effect"
import { newSecret } from "./Signature.ts"

/** How long the old secret signs beside the new one after a rotation. Default 24 hours. */
export const RotationOverlap = Config.Duration("CD_WEBHOOK_ROTATION_OVERLAP").pipe(Config.withDefault(Duration.hours(24)))

export class RotationInProgress extends Schema.TaggedError<RotationInProgress>()("RotationInProgress", { until: Schema.String }) {
  override get message() {
    return `a rotation is under way until ${this.until}: wait, or revoke the old secret`
  }
}

export interface SealedSecret {
  readonly id: string
  readonly sealed: string
}

interface LiveSecret extends SealedSecret {
  readonly expires_at: Date | null
}

const place = (tenant: string, row: string): Place => ({ tenant, table: "webhooks.secrets", column: "sealed", row })

export class Secrets extends Context.Service<
  Secrets,
  {
    /** A first secret for a new endpoint; for an endpoint that has one, that one. */
    readonly ensure: (tenant: string, endpoint: string) => Effect.Effect<string, DatabaseError>
    /**
     * A new secret beside the old one, which ends after the overlap. With `revoke`, the old one ends at once; while a rotation is under way,
     * `revoke` ends the overlap and keeps the new secret. To be called under the endpoint's row lock.
     */
    readonly rotate: (tenant: string, endpoint: string, revoke: boolean) => Effect.Effect<string, RotationInProgress | DatabaseError>
    /** In the order given; one that can't be opened is left out and logged. */
    readonly open: (tenant: string, sealed: ReadonlyArray<SealedSecret>) => Effect.Effect<ReadonlyArray<string>>
  }
>()("webhooks/Secrets") {
  static readonly layer = Layer.effect(
    Secrets,
    Effect.gen(function* () {
      const database = yield* Database
      const vault = makeVault(yield* keyRing("WEBHOOK_KEK"))
      const overlap = Duration.toMillis(yield* RotationOverlap)

      const live = (endpoint: string) =>
        database.query<LiveSecret>(
          (sql) => sql`select id, sealed, expires_at from webhooks.secrets
                       where endpoint_id = ${endpoint}::uuid and (expires_at is null or expires_at > now()) order by created_at`
        )

      const open = Effect.fnUntraced(function* (tenant: string, sealed: ReadonlyArray<SealedSecret>) {
        const opened = sealed.map((one) => Result.getSuccess(vault.openText(one.sealed, place(tenant, one.id))))
        const failed = sealed.filter((_, index) => Option.isNone(opened[index]!))
        if (failed.length > 0) yield* Effect.logError("signing secrets can't be opened", { secrets: failed.map((one) => one.id) })
        return opened.flatMap(Option.toArray)
      })

      const add = Effect.fnUntraced(function* (tenant: string, endpoint: string) {
        const secret = newSecret()
        const id = uuidv7()
        yield* database.query(
          (sql) => sql`insert into webhooks.secrets (id, endpoint_id, sealed, created_at)
                       values (${id}, ${endpoint}::uuid, ${vault.seal(secret, place(tenant, id))}, clock_timestamp())`
        )
        return secret
      })

      const ensure = Effect.fn("Secrets.ensure")(function* (tenant: string, endpoint: string) {
        const newest = (yield* live(endpoint)).at(-1)
        return newest === undefined ? yield* add(tenant, endpoint) : ((yield* open(tenant, [newest]))[0] ?? "")
      })

      const rotate = Effect.fn("Secrets.rotate")(function* (tenant: string, endpoint: string, revoke: boolean) {
        const [old, newer] = yield* live(endpoint)
        if (newer !== undefined && !revoke) return yield* new RotationInProgress({ until: old!.expires_at!.toISOString() })
        if (newer !== undefined) {
          yield* database.query((sql) => sql`delete from webhooks.secrets where id = ${old!.id}`)
          return yield* ensure(tenant, endpoint)
        }
        yield* database.query((sql) =>
          revoke
            ? sql`delete from webhooks.secrets where endpoint_id = ${endpoint}::uuid`
            : sql`update webhooks.secrets set expires_at = now() + ${overlap} * interval '1 millisecond'
                  where endpoint_id = ${endpoint}::uuid and expires_at is null`
        )
        return yield* add(tenant, endpoint)
      })

      return Secrets.of({ ensure, rotate, open })
    })
  )
}
