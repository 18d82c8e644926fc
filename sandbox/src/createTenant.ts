/**
 * Makes a tenant with an application and a key of every scope, directly in the database: the API can't make the first one.
 *
 * Owns: the plan's row beside it. Leaves to the gateway's `seed.ts`: tenant, application and key.
 */
import { randomUUID } from "node:crypto"
import type { Tenant } from "./seed.ts"

export interface NewTenant {
  readonly databaseUrl: string
  readonly name: string
  /** A key of the plans file; not checked here. */
  readonly plan: string
  /** Where the edge sends requests of the application's hostnames. */
  readonly origin: string
}

export const createTenant = async (options: NewTenant): Promise<Tenant> => {
  const [{ Effect }, { Database }, { seed }] = await Promise.all([
    import("effect"),
    import("@connect-domain/database/Database.ts"),
    import("@connect-domain/gateway/seed.ts")
  ])
  // A seed's name is its tenant's for ever; every tenant made here is a new one.
  const name = `${options.name} ${randomUUID().slice(0, 8)}`
  const make = Effect.gen(function* () {
    const { query, transaction } = yield* Database
    return yield* transaction(
      Effect.gen(function* () {
        const seeded = yield* seed({ name, origin: options.origin })
        yield* query((sql) => sql`insert into billing.subscriptions (tenant_id, plan) values (${seeded.tenant_id}, ${options.plan})`)
        return seeded
      })
    )
  })
  return Effect.runPromise(make.pipe(Effect.provide(Database.layerFor({ url: options.databaseUrl, size: 1, name })), Effect.scoped))
}
