/**
 * Makes a tenant with an application and a key of every scope, directly in the database: the API can't make the first one.
 *
 * Owns: those rows. Leaves to the gateway: what a key looks like (its own function mints it) and everything after the first key.
 */
import { randomUUID } from "node:crypto"
import type { Tenant } from "./seed.ts"

export const everyScope = ["connections:read", "connections:write", "apps:admin", "webhooks:write", "usage:read"] as const

export interface NewTenant {
  readonly databaseUrl: string
  readonly name: string
  /** A key of the plans file; not checked here. */
  readonly plan: string
  /** Where the edge sends requests of the application's hostnames. */
  readonly origin: string
}

export const createTenant = async (options: NewTenant): Promise<Tenant> => {
  const [{ Effect }, { Database }, { hashSecret, last4, makeSecret }, { uuidv7 }] = await Promise.all([
    import("effect"),
    import("@connect-domain/database/Database.ts"),
    import("@connect-domain/gateway/auth/ApiKey.ts"),
    import("@connect-domain/domain/uuidv7.ts")
  ])
  const [tenant_id, application_id, key_id] = [uuidv7(), uuidv7(), uuidv7()]
  const api_key = makeSecret("test", key_id)
  const insert = Effect.gen(function* () {
    const { query, transaction } = yield* Database
    yield* transaction(
      Effect.gen(function* () {
        yield* query((sql) => sql`insert into gateway.tenants (id, name) values (${tenant_id}, ${options.name})`)
        yield* query(
          (sql) => sql`insert into gateway.applications (id, tenant_id, name, environment, origin)
            values (${application_id}, ${tenant_id}, ${options.name}, 'test', ${options.origin})`
        )
        yield* query(
          (sql) => sql`insert into gateway.keys (id, tenant_id, application_id, name, environment, scopes, sha256, last4)
            values (${key_id}, ${tenant_id}, ${application_id}, 'sandbox', 'test', ${sql.json([...everyScope])}, ${hashSecret(api_key)}, ${last4(api_key)})`
        )
        yield* query((sql) => sql`insert into billing.subscriptions (tenant_id, plan) values (${tenant_id}, ${options.plan})`)
      })
    )
  })
  const name = `sandbox ${randomUUID().slice(0, 8)}`
  await Effect.runPromise(insert.pipe(Effect.provide(Database.layerFor({ url: options.databaseUrl, size: 1, name })), Effect.scoped))
  return { tenant_id, application_id, api_key }
}
