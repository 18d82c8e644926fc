/** A migrated Postgres for billing's tests, with a table in place of the lifecycle's view: billing sees nothing else of it. */
import { Database } from "@connect-domain/database/Database.ts"
import { startPostgres } from "@connect-domain/database/testing/PostgresServer.ts"
import { Context, Effect, Layer } from "effect"
import postgres from "postgres"

export class BillingDatabase extends Context.Service<BillingDatabase, { readonly url: string; readonly superuser: postgres.Sql }>()(
  "test/BillingDatabase"
) {
  static readonly layer = Layer.effect(
    BillingDatabase,
    Effect.gen(function* () {
      const server = yield* startPostgres()
      const url = yield* server.migratedDatabase
      const superuser = yield* Effect.acquireRelease(
        Effect.sync(() => postgres(url, { max: 2, onnotice: () => {} })),
        (sql) => Effect.promise(() => sql.end())
      )
      yield* Effect.promise(() => superuser.unsafe(standIns))
      return { url, superuser }
    })
  )
}

const standIns = `
  drop view if exists lifecycle.published_connections cascade;
  drop view if exists lifecycle.published_events cascade;
  create table lifecycle.published_connections (id uuid primary key, tenant_id uuid not null, state text not null);
  create table lifecycle.published_events (position bigserial, id uuid, tenant_id uuid, application_id uuid, connection_id uuid,
    environment text, type text, sequence bigint, data jsonb, occurred_at timestamptz default now());
  grant usage on schema lifecycle to cd_billing, cd_webhooks;
  grant select on lifecycle.published_connections, lifecycle.published_events to cd_billing, cd_webhooks;`

/** Billing's own connection, with billing's own rights. */
export const billingDatabase = Layer.unwrap(
  Effect.map(BillingDatabase, ({ url }) => Database.layerFor({ url, name: "billing", role: "cd_billing", size: 16 }))
)
