import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, layer } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { Database } from "./Database.ts"
import { migrateDatabase } from "./migrate.ts"
import { type PostgresServer, startPostgres } from "./testing/PostgresServer.ts"

class Server extends Context.Service<Server, PostgresServer>()("test/PostgresServer") {
  static readonly layer = Layer.effect(Server, startPostgres())
}

const schemas = ["gateway", "lifecycle", "certifier", "billing", "webhooks"] as const

const databaseAs = (url: string, role?: string) =>
  Effect.map(Layer.build(Layer.fresh(Database.layerFor({ url, name: role ?? "owner", role, size: 1 }))), (context) =>
    Context.get(context, Database)
  )

const folder = (files: Readonly<Record<string, string>>) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const path = mkdtempSync(join(tmpdir(), "connect-domain-migrations-"))
      for (const [name, text] of Object.entries(files)) writeFileSync(join(path, name), text)
      return path
    }),
    (path) => Effect.sync(() => rmSync(path, { recursive: true }))
  )

layer(Server.layer, { excludeTestServices: true })("migrate", (it) => {
  it.effect("runs every migration once, although several processes start at once and databases share the roles", () =>
    Effect.gen(function* () {
      const server = yield* Server
      const urls = yield* Effect.all([server.emptyDatabase, server.emptyDatabase])
      const ran = yield* Effect.forEach([...urls, ...urls, ...urls], (url) => migrateDatabase(url), { concurrency: "unbounded" })
      assert.strictEqual(ran.filter((files) => files.length > 0).length, 2)
      assert.include(ran.find((files) => files.length > 0)!, "0001_roles.sql")
      assert.deepStrictEqual(yield* migrateDatabase(urls[0]!), [])
    })
  )

  it.effect("a service's role reads and writes its own tables, and of others' published views only", () =>
    Effect.gen(function* () {
      const server = yield* Server
      const url = yield* server.migratedDatabase
      const owner = yield* databaseAs(url)
      const tables = yield* owner.query<{ schema: string; name: string; view: boolean }>(
        (sql) => sql`select table_schema as schema, table_name as name, table_type = 'VIEW' as view
          from information_schema.tables where table_schema = any(${[...schemas]}::text[]) order by 1, 2`
      )
      assert.isAbove(tables.length, 5)
      for (const role of schemas) {
        const { query } = yield* databaseAs(url, `cd_${role}`)
        for (const { schema, name, view } of tables) {
          if (schema === role || name.startsWith("published_")) continue
          const error = yield* Effect.flip(query((sql) => sql`select 1 from ${sql(`${schema}.${name}`)} limit 1`))
          assert.strictEqual(error.code, "42501", `cd_${role} may read ${view ? "view" : "table"} ${schema}.${name}`)
        }
        const outbox = tables.find((table) => table.schema === role && table.name === "outbox")
        if (outbox === undefined) continue
        yield* query((sql) => sql`insert into ${sql(`${role}.outbox`)} (id, subject, payload) values ('a', 's', '{}')`)
        yield* query((sql) => sql`delete from ${sql(`${role}.outbox`)}`)
      }
    })
  )

  it.effect("a failing file leaves nothing behind and names itself; an edited or doubled one is refused", () =>
    Effect.gen(function* () {
      const server = yield* Server
      const url = yield* server.emptyDatabase
      const good = { "0001_one.sql": "create table one (id int);" }
      assert.deepStrictEqual(yield* migrateDatabase(url, yield* folder(good)), ["0001_one.sql"])
      const broken = yield* folder({ ...good, "0002_two.sql": "create table two (id int); create table one (id int);" })
      const failed = yield* Effect.flip(migrateDatabase(url, broken))
      assert.strictEqual(failed._tag === "MigrationError" && failed.file, "0002_two.sql")
      const { query } = yield* databaseAs(url)
      assert.deepStrictEqual(yield* query((sql) => sql`select to_regclass('public.two')::text as name`), [{ name: null }])
      const edited = yield* Effect.flip(migrateDatabase(url, yield* folder({ "0001_one.sql": "create table one (id bigint);" })))
      assert.include(edited.message, "changed after it ran")
      const twice = yield* Effect.flip(migrateDatabase(url, yield* folder({ ...good, "0001_other.sql": "select 1;" })))
      assert.include(twice.message, "number 1")
    })
  )

  it.effect("says Unavailable when there is no server", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(migrateDatabase("postgres://postgres@127.0.0.1:1/none"))
      assert.strictEqual(error._tag === "DatabaseError" && error.reason, "Unavailable")
    })
  )
})
