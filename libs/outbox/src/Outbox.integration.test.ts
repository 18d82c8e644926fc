import { Database } from "@connect-domain/database/Database.ts"
import { startPostgres } from "@connect-domain/database/testing/PostgresServer.ts"
import { applicationChanged } from "@connect-domain/messages/lifecycle.ts"
import { messaging } from "@connect-domain/nats/messaging.ts"
import { provision } from "@connect-domain/nats/provision.ts"
import { type NatsServer, startNats } from "@connect-domain/nats/testing/NatsServer.ts"
import { handle, Work } from "@connect-domain/nats/Work.ts"
import { RequestId, withRequestId } from "@connect-domain/telemetry/requestContext.ts"
import { assert, layer } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { Outbox, outgoing } from "./Outbox.ts"

class Servers extends Context.Service<Servers, { readonly nats: NatsServer; readonly url: string }>()("test/Servers") {
  static readonly layer = Layer.effect(
    Servers,
    Effect.gen(function* () {
      const [nats, postgres] = yield* Effect.all([startNats(), startPostgres()], { concurrency: 2 })
      return { nats, url: yield* postgres.emptyDatabase }
    })
  )
}

/** The table as `create_outbox` makes it, without the rest of the schema. */
const table = Effect.gen(function* () {
  const { query } = yield* Database
  yield* query((sql) => sql`create schema lifecycle`)
  yield* query(
    (sql) => sql`create table lifecycle.outbox (position bigserial primary key, id text not null unique, subject text not null,
      payload jsonb not null, headers jsonb not null default '{}', created_at timestamptz not null default now())`
  )
})

const services = Layer.unwrap(
  Effect.map(Servers, ({ nats, url }) => {
    const database = Database.layerFor({ url, name: "lifecycle" })
    const connected = Layer.merge(database, messaging("lifecycle").pipe(Layer.provide(nats.config)))
    const prepared = Layer.provideMerge(Layer.effectDiscard(Effect.andThen(provision, table)), connected)
    return Layer.provideMerge(Outbox.layer("lifecycle"), prepared)
  })
)

const message = (id: string) => outgoing(applicationChanged, { application_id: id, tenant_id: "t" }, id)

const until = <E, R>(what: string, condition: Effect.Effect<boolean, E, R>) =>
  Effect.retry(
    Effect.flatMap(condition, (holds) => (holds ? Effect.void : Effect.andThen(Effect.sleep("10 millis"), Effect.fail(what)))),
    { times: 6_000 }
  )

layer(services.pipe(Layer.provideMerge(Servers.layer)), { excludeTestServices: true })("Outbox", (it) => {
  const received: Array<string> = []
  const requests: Array<string | undefined> = []
  const receive = Effect.flatMap(Work, ({ consume }) =>
    consume("lifecycle_application", [
      handle(applicationChanged, ({ application_id }) =>
        Effect.gen(function* () {
          received.push(application_id)
          requests.push(yield* RequestId)
        })
      )
    ])
  )

  it.effect("sends after the commit, never after a rollback, once per id, with the request's id", () =>
    Effect.gen(function* () {
      yield* receive
      const { add, waiting } = yield* Outbox
      const { transaction } = yield* Database
      yield* withRequestId("req-7")(transaction(add([message("kept"), message("kept-too")])))
      yield* Effect.ignore(transaction(Effect.andThen(add([message("dropped")]), Effect.fail("no"))))
      yield* transaction(add([message("kept")]))
      yield* until(
        "all sent",
        Effect.map(waiting, (count) => count === 0 && received.length >= 2)
      )
      yield* transaction(add([message("last")]))
      yield* until(
        "last",
        Effect.sync(() => received.includes("last"))
      )
      assert.deepStrictEqual([...received].sort(), ["kept", "kept-too", "last"])
      assert.deepStrictEqual(requests.slice(0, 2), ["req-7", "req-7"])
    })
  )

  it.effect("keeps rows while NATS is away, and sends them when it is back", () =>
    Effect.gen(function* () {
      const { nats } = yield* Servers
      const { add, waiting } = yield* Outbox
      const { transaction } = yield* Database
      yield* receive
      yield* nats.stop("SIGKILL")
      yield* transaction(add([message("while-away")]))
      assert.strictEqual(yield* waiting, 1)
      yield* nats.start
      yield* provision
      yield* until(
        "sent",
        Effect.sync(() => received.includes("while-away"))
      )
      yield* until(
        "deleted",
        Effect.map(waiting, (count) => count === 0)
      )
    })
  )

  it.effect("two relays share the rows and nothing is lost or handled twice", () =>
    Effect.gen(function* () {
      yield* receive
      yield* Layer.build(Layer.fresh(Outbox.layer("lifecycle")))
      const { add } = yield* Outbox
      const { transaction } = yield* Database
      const ids = Array.from({ length: 600 }, (_, index) => `n${index}`)
      yield* Effect.forEach(ids, (id) => transaction(add([message(id)])), { concurrency: 16 })
      yield* until(
        "all",
        Effect.sync(() => received.filter((id) => id.startsWith("n")).length >= ids.length)
      )
      assert.deepStrictEqual(received.filter((id) => id.startsWith("n")).sort(), [...ids].sort())
    })
  )
})
