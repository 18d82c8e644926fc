/**
 * A tenant with an application and an API key of every scope, for a sandbox or a new installation.
 *
 * Owns: making what is missing; run twice it makes nothing twice. A key's secret is stored nowhere, so a caller who wants the same key
 * again shows it (`knownKey`); otherwise a new one is made. Run it: `node services/gateway/src/seed.ts --name demo [--environment live]
 * [--origin https://…] [--known-key sk_…]` prints `{tenant_id, application_id, api_key}`.
 */
import { parseArgs } from "node:util"
import { Database, type DatabaseError } from "@connect-domain/database/Database.ts"
import { uuidv7 } from "@connect-domain/domain/uuidv7.ts"
import { Console, Effect } from "effect"
import { scopes } from "./api/Access.ts"
import { hashSecret, keyIdOf, last4, makeSecret } from "./auth/ApiKey.ts"

export interface Seed {
  /** Of the tenant; the application is called the same. One tenant per name. */
  readonly name: string
  readonly environment?: "test" | "live"
  readonly origin?: string
  readonly allowedOrigins?: ReadonlyArray<string>
  readonly knownKey?: string | undefined
}

export interface Seeded {
  readonly tenant_id: string
  readonly application_id: string
  readonly api_key: string
}

/** Any constant: two seeds at once take turns. */
const lockId = 7_203_120

export const seed = (wanted: Seed): Effect.Effect<Seeded, DatabaseError, Database> =>
  Effect.gen(function* () {
    const database = yield* Database
    yield* database.query((sql) => sql`select pg_advisory_xact_lock(${lockId})`)
    const tenant_id = yield* ensureTenant(database, wanted.name)
    const application = yield* ensureApplication(database, tenant_id, wanted)
    const api_key = yield* ensureKey(database, tenant_id, application, wanted.knownKey)
    return { tenant_id, application_id: application.id, api_key }
  }).pipe((effect) => Effect.flatMap(Database, (database) => database.transaction(effect)))

const ensureTenant = (database: Database["Service"], name: string) =>
  Effect.gen(function* () {
    const [found] = yield* database.query<{ id: string }>((sql) => sql`select id from gateway.tenants where name = ${name} limit 1`)
    if (found !== undefined) return found.id
    const id = uuidv7()
    yield* database.query((sql) => sql`insert into gateway.tenants (id, name) values (${id}, ${name})`)
    return id
  })

interface Application {
  readonly id: string
  readonly environment: "test" | "live"
}

/** An origin that moved (another port in a sandbox) is written anew. */
const ensureApplication = (database: Database["Service"], tenantId: string, wanted: Seed) =>
  Effect.gen(function* () {
    const origin = wanted.origin ?? null
    const origins = wanted.allowedOrigins ?? []
    const [found] = yield* database.query<Application>(
      (sql) => sql`
        update gateway.applications set origin = coalesce(${origin}, origin),
          updated_at = case when origin is distinct from coalesce(${origin}, origin) then now() else updated_at end
        where id = (select id from gateway.applications where tenant_id = ${tenantId} and name = ${wanted.name} and deleted_at is null
          order by id limit 1)
        returning id, environment`
    )
    if (found !== undefined) return found
    const created: Application = { id: uuidv7(), environment: wanted.environment ?? "test" }
    yield* database.query(
      (sql) => sql`
        insert into gateway.applications (id, tenant_id, name, environment, origin, allowed_origins)
        values (${created.id}, ${tenantId}, ${wanted.name}, ${created.environment}, ${origin}, ${sql.json(origins)})`
    )
    return created
  })

const ensureKey = (database: Database["Service"], tenantId: string, application: Application, known: string | undefined) =>
  Effect.gen(function* () {
    const knownId = known === undefined ? undefined : keyIdOf(known)
    if (known !== undefined && knownId !== undefined) {
      const found = yield* database.query(
        (sql) => sql`
          select 1 as found from gateway.keys where id = ${knownId} and tenant_id = ${tenantId} and application_id = ${application.id}
            and sha256 = ${hashSecret(known)} and revoked_at is null and expires_at is null`
      )
      if (found.length > 0) return known
    }
    const id = uuidv7()
    const secret = makeSecret(application.environment, id)
    yield* database.query(
      (sql) => sql`
        insert into gateway.keys (id, tenant_id, application_id, name, environment, scopes, sha256, last4)
        values (${id}, ${tenantId}, ${application.id}, 'seed', ${application.environment}, ${sql.json(scopes)}, ${hashSecret(secret)},
          ${last4(secret)})`
    )
    return secret
  })

const main = Effect.suspend(() => {
  const { values } = parseArgs({
    options: {
      name: { type: "string", default: "demo" },
      environment: { type: "string", default: "test" },
      origin: { type: "string" },
      "known-key": { type: "string" }
    }
  })
  return seed({
    name: values.name,
    environment: values.environment === "live" ? "live" : "test",
    ...(values.origin === undefined ? {} : { origin: values.origin }),
    knownKey: values["known-key"]
  }).pipe(
    Effect.flatMap((seeded) => Console.log(JSON.stringify(seeded))),
    Effect.provide(Database.layer("gateway"))
  )
})

if (import.meta.main) await Effect.runPromise(main)
