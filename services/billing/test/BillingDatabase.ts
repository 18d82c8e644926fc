/** A migrated Postgres for billing's tests, with tables in place of the lifecycle's views: billing sees nothing else of it. */
import { Database } from "@connect-domain/database/Database.ts"
import { migrateDatabase } from "@connect-domain/database/migrate.ts"
import { startPostgres } from "@connect-domain/database/testing/PostgresServer.ts"
import { someMigrations } from "@connect-domain/database/testing/someMigrations.ts"
import { Context, Effect, Layer } from "effect"

export class BillingDatabase extends Context.Service<
  BillingDatabase,
  {
    readonly url: string
    /** With every right, for what a test plants or looks at. */
    readonly superuser: Database["Service"]
  }
>()("test/BillingDatabase") {
  static readonly layer = Layer.effect(
    BillingDatabase,
    Effect.gen(function* () {
      const server = yield* startPostgres()
      const url = yield* server.emptyDatabase
      yield* migrateDatabase(url, yield* someMigrations(["0001", "004"]))
      const superuser = Context.get(yield* Layer.build(Database.layerFor({ url, name: "test", size: 2 })), Database)
      for (const statement of standIns) yield* superuser.query((sql) => sql.unsafe(statement))
      return { url, superuser }
    })
  )
}

const standIns = [
  "create table lifecycle.published_connections (id uuid primary key, tenant_id uuid not null, state text not null)",
  `create table lifecycle.published_events (position text collate "C", id uuid, tenant_id uuid, application_id uuid, connection_id uuid,
     environment text, type text, sequence integer, data jsonb, occurred_at timestamptz default now())`,
  "grant usage on schema lifecycle to cd_billing",
  "grant select on lifecycle.published_connections, lifecycle.published_events to cd_billing"
]

/** The service's own connection, with its own rights. */
export const billingDatabase = Layer.unwrap(
  Effect.map(BillingDatabase, ({ url }) => Database.layerFor({ url, name: "billing", role: "cd_billing", size: 16 }))
)
