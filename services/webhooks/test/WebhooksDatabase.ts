/** A migrated Postgres for the webhooks' tests, with tables in place of the lifecycle's views: webhooks sees nothing else of it. */
import { Database } from "@connect-domain/database/Database.ts"
import { migrateDatabase } from "@connect-domain/database/migrate.ts"
import { startPostgres } from "@connect-domain/database/testing/PostgresServer.ts"
import { someMigrations } from "@connect-domain/database/testing/someMigrations.ts"
import { Context, Effect, Layer } from "effect"

export class WebhooksDatabase extends Context.Service<
  WebhooksDatabase,
  {
    readonly url: string
    /** With every right, for what a test plants or looks at. */
    readonly superuser: Database["Service"]
  }
>()("test/WebhooksDatabase") {
  static readonly layer = Layer.effect(
    WebhooksDatabase,
    Effect.gen(function* () {
      const server = yield* startPostgres()
      const url = yield* server.emptyDatabase
      yield* migrateDatabase(url, yield* someMigrations(["0001", "005"]))
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
  "grant usage on schema lifecycle to cd_webhooks",
  "grant select on lifecycle.published_connections, lifecycle.published_events to cd_webhooks"
]

/** The service's own connection, with its own rights. */
export const webhooksDatabase = Layer.unwrap(
  Effect.map(WebhooksDatabase, ({ url }) => Database.layerFor({ url, name: "webhooks", role: "cd_webhooks", size: 16 }))
)
