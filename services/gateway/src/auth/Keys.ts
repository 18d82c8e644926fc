/**
 * API keys as rows: finding the one that a request shows, fast, and no longer than a second after it was revoked.
 *
 * Owns: the look-up and its cache (one second; dropped at once by a revocation in this process), `last_used_at` (written in batches).
 * Leaves to `ApiKey.ts`: the secret's form; to `keyHandlers.ts`: making and revoking. Built against: a query per request on the hot path,
 * and a revoked key that goes on working.
 */
import { Database, type DatabaseError } from "@connect-domain/database/Database.ts"
import { Cache, Context, Effect, Exit, Layer, Schedule } from "effect"
import type { Scope } from "../api/Access.ts"
import { keyIdOf, matchesHash } from "./ApiKey.ts"
import type { KeyCaller } from "./Caller.ts"

interface KeyRow {
  readonly id: string
  readonly tenant_id: string
  readonly application_id: string
  readonly scopes: ReadonlyArray<Scope>
  readonly sha256: Uint8Array
  readonly expires_at: Date | null
}

interface KnownKey {
  readonly caller: KeyCaller
  readonly sha256: Uint8Array
}

export class Keys extends Context.Service<
  Keys,
  {
    /** The caller behind a secret; undefined when it is malformed, unknown, revoked, expired, or its application is gone. */
    readonly find: (secret: string) => Effect.Effect<KeyCaller | undefined, DatabaseError>
    /** The caller behind a key's id: for tokens that it minted. */
    readonly findById: (keyId: string) => Effect.Effect<KeyCaller | undefined, DatabaseError>
    /** Forget what is cached, at once. */
    readonly forget: (keyId: string) => Effect.Effect<void>
    readonly forgetAll: Effect.Effect<void>
  }
>()("gateway/auth/Keys") {
  static readonly layer = Layer.effect(
    Keys,
    Effect.gen(function* () {
      const database = yield* Database
      const cache = yield* Cache.makeWith((id: string) => load(database, id), {
        capacity: 20_000,
        timeToLive: (exit) => (Exit.isSuccess(exit) ? "1 second" : "0 millis")
      })
      const used = new Set<string>()
      yield* Effect.forkScoped(writeLastUsed(database, used).pipe(Effect.repeat(Schedule.spaced("10 seconds"))))
      const live = (known: KnownKey | undefined): KnownKey | undefined =>
        known === undefined || (known.caller.expires_at !== null && known.caller.expires_at.getTime() <= Date.now()) ? undefined : known
      return Keys.of({
        find: (secret) => {
          const id = keyIdOf(secret)
          if (id === undefined) return Effect.succeed(undefined)
          return Effect.map(Cache.get(cache, id), (known) => {
            const found = live(known)
            if (found === undefined || !matchesHash(secret, found.sha256)) return undefined
            used.add(id)
            return found.caller
          })
        },
        findById: (id) => Effect.map(Cache.get(cache, id), (known) => live(known)?.caller),
        forget: (id) => Cache.invalidate(cache, id),
        forgetAll: Cache.invalidateAll(cache)
      })
    })
  )
}

const load = (database: Database["Service"], id: string): Effect.Effect<KnownKey | undefined, DatabaseError> =>
  Effect.map(
    database.query<KeyRow>(
      (sql) => sql`
        select k.id, k.tenant_id, k.application_id, k.scopes, k.sha256, k.expires_at
        from gateway.keys k join gateway.applications a on a.id = k.application_id and a.tenant_id = k.tenant_id
        where k.id = ${id} and k.revoked_at is null and a.deleted_at is null`
    ),
    ([row]) =>
      row === undefined
        ? undefined
        : {
            sha256: row.sha256,
            caller: {
              kind: "key",
              tenant_id: row.tenant_id,
              application_id: row.application_id,
              key_id: row.id,
              scopes: new Set(row.scopes),
              expires_at: row.expires_at
            }
          }
  )

/** At most once a minute per key; a lost write costs a minute of precision. */
const writeLastUsed = (database: Database["Service"], used: Set<string>) =>
  Effect.suspend(() => {
    if (used.size === 0) return Effect.void
    const ids = [...used]
    used.clear()
    return Effect.ignore(
      database.query(
        (sql) => sql`
          update gateway.keys set last_used_at = now()
          where id = any(${ids}::uuid[]) and (last_used_at is null or last_used_at < now() - interval '1 minute')`
      )
    )
  })
