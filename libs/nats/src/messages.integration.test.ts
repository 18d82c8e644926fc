import { reserveConnect, subscribe as subscribePlan } from "@connect-domain/messages/billing.ts"
import { connectionEvent } from "@connect-domain/messages/events.ts"
import { applicationChanged } from "@connect-domain/messages/lifecycle.ts"
import { deadSubject } from "@connect-domain/messages/topology.ts"
import { RequestId, withRequestId } from "@connect-domain/telemetry/requestContext.ts"
import { assert, layer } from "@effect/vitest"
import { jetstreamManager } from "@nats-io/jetstream"
import { Context, Deferred, Effect, Fiber, Layer, Stream } from "effect"
import { CallError, Calls } from "./Calls.ts"
import { Events } from "./Events.ts"
import { messaging } from "./messaging.ts"
import { Nats } from "./Nats.ts"
import { provision } from "./provision.ts"
import { type NatsServer, startNats } from "./testing/NatsServer.ts"
import { handle, type MessageMeta, Retry, Work } from "./Work.ts"

class Server extends Context.Service<Server, NatsServer>()("test/NatsServer") {
  static readonly layer = Layer.effect(Server, startNats())
}
const connected = Layer.unwrap(Effect.map(Server, ({ config }) => messaging("lifecycle").pipe(Layer.provide(config))))
const provisioned = Layer.provideMerge(Layer.effectDiscard(provision), connected)

layer(provisioned.pipe(Layer.provideMerge(Server.layer)), { excludeTestServices: true })("messages", (it) => {
  it.effect("a call carries the payload, the answer, the refusal and the request id", () =>
    Effect.gen(function* () {
      const { request, serve } = yield* Calls
      const seen: Array<string | undefined> = []
      yield* serve(subscribePlan, ({ tenant_id, plan }) =>
        Effect.gen(function* () {
          seen.push(yield* RequestId)
          if (plan === "defect") return yield* Effect.die(new Error("broken"))
          if (plan === "unknown") return yield* new CallError({ code: "invalid", message: "no such plan", details: { plan } })
          return { plan, status: tenant_id, period: "2026-11", started_at: "now", limits: {} }
        })
      )
      const answer = yield* withRequestId("req-1")(request(subscribePlan, { tenant_id: "t", plan: "pro" }))
      assert.deepStrictEqual(answer, { plan: "pro", status: "t", period: "2026-11", started_at: "now", limits: {} })
      const refused = yield* Effect.flip(request(subscribePlan, { tenant_id: "t", plan: "unknown" }))
      assert.deepStrictEqual([refused.code, refused.message, refused.details], ["invalid", "no such plan", { plan: "unknown" }])
      const broken = yield* Effect.flip(request(subscribePlan, { tenant_id: "t", plan: "defect" }))
      assert.deepStrictEqual([broken.code, broken.message], ["internal", "internal error"])
      assert.deepStrictEqual(seen, ["req-1", undefined, undefined])
    })
  )

  it.effect("a call that nobody takes is unavailable, and is taken by a service that comes a moment later", () =>
    Effect.gen(function* () {
      const { request, serve } = yield* Calls
      const nobody = yield* Effect.flip(request(reserveConnect, { tenant_id: "t", connection_id: "c" }))
      assert.strictEqual(nobody.code, "unavailable")
      const waiting = yield* Effect.forkChild(request(reserveConnect, { tenant_id: "t", connection_id: "c" }))
      yield* Effect.sleep("300 millis")
      yield* serve(reserveConnect, () => Effect.succeed({}))
      assert.deepStrictEqual(yield* Fiber.join(waiting), {})
    })
  )

  it.effect("work: handled once, dropped when sent twice, repeated after a failure, buried at the last delivery", () =>
    Effect.gen(function* () {
      const { send, consume } = yield* Work
      const seen: Array<readonly [string, number]> = []
      const all = yield* Deferred.make<void>()
      const run = (payload: { readonly application_id: string }, meta: MessageMeta) =>
        Effect.gen(function* () {
          seen.push([payload.application_id, meta.delivery])
          if (payload.application_id === "again" && meta.delivery === 1) return yield* new Retry({ afterSeconds: 0.05 })
          if (payload.application_id === "poison") return yield* new Retry({ afterSeconds: 0.01, message: "never works" })
          if (payload.application_id === "last") yield* Deferred.succeed(all, undefined)
        })
      yield* consume("lifecycle_application", [handle(applicationChanged, run)], { concurrency: 4 })
      const message = (application_id: string) => ({ application_id, tenant_id: "t" })
      yield* withRequestId("req-2")(send(applicationChanged, message("again"), { id: "again" }))
      yield* send(applicationChanged, message("once"), { id: "once" })
      yield* send(applicationChanged, message("once"), { id: "once" })
      const { connection } = yield* Nats
      const dead = yield* Deferred.make<{ readonly reason: string; readonly data: string }>()
      const subscription = connection.subscribe(deadSubject("cd.work.v1.lifecycle.application.changed.poison"), {
        callback: (_, m) => void Deferred.doneUnsafe(dead, Effect.succeed({ reason: m.headers!.get("cd-reason"), data: m.string() }))
      })
      yield* send(applicationChanged, message("poison"), { id: "poison" })
      const { reason, data } = yield* Deferred.await(dead)
      subscription.unsubscribe()
      assert.strictEqual(reason, "never works")
      assert.deepStrictEqual(JSON.parse(data), message("poison"))
      yield* send(applicationChanged, message("last"), { id: "last" })
      yield* Deferred.await(all)
      assert.deepStrictEqual(
        seen.filter(([id]) => id === "once"),
        [["once", 1]]
      )
      assert.deepStrictEqual(
        seen.filter(([id]) => id === "again"),
        [
          ["again", 1],
          ["again", 2]
        ]
      )
      assert.strictEqual(seen.filter(([id]) => id === "poison").length, 6)
      const manager = yield* Effect.promise(() => jetstreamManager(connection))
      yield* Effect.sleep("100 millis")
      const info = yield* Effect.promise(() => manager.streams.info("CD_WORK_LIFECYCLE"))
      assert.strictEqual(info.state.messages, 0)
    })
  )

  it.effect("work is held, not used up, while the database is unavailable", () =>
    Effect.gen(function* () {
      const { send, consume } = yield* Work
      const deliveries: Array<number> = []
      const done = yield* Deferred.make<void>()
      yield* consume("lifecycle_application", [
        handle(applicationChanged, (_, meta) => {
          deliveries.push(meta.delivery)
          return deliveries.length < 4 ? Effect.fail({ _tag: "DatabaseError", reason: "Unavailable" }) : Deferred.succeed(done, undefined)
        })
      ])
      yield* send(applicationChanged, { application_id: "held", tenant_id: "t" }, { id: "held" })
      yield* Deferred.await(done)
      assert.deepStrictEqual(deliveries, [1, 1, 1, 1])
    })
  )

  it.effect("a handler that hangs is interrupted and its message comes again", () =>
    Effect.gen(function* () {
      const { send, consume } = yield* Work
      const deliveries: Array<number> = []
      const done = yield* Deferred.make<void>()
      const run = (_: unknown, meta: MessageMeta) => {
        deliveries.push(meta.delivery)
        return meta.delivery === 1 ? Effect.never : Deferred.succeed(done, undefined)
      }
      yield* consume("lifecycle_application", [handle(applicationChanged, run)], { timeoutSeconds: 0.2 })
      yield* send(applicationChanged, { application_id: "hangs", tenant_id: "t" }, { id: "hangs" })
      yield* Deferred.await(done)
      assert.deepStrictEqual(deliveries, [1, 2])
    })
  )

  it.effect("a full stream refuses clearly, and takes messages again when there is room", () =>
    Effect.gen(function* () {
      const { send } = yield* Work
      const { connection } = yield* Nats
      const manager = yield* Effect.promise(() => jetstreamManager(connection))
      const large = { application_id: "large", tenant_id: "x".repeat(3_000) }
      yield* Effect.promise(() => manager.streams.update("CD_WORK_LIFECYCLE", { max_bytes: 2_000 }))
      const refused = yield* Effect.flip(send(applicationChanged, large, { id: "large" }))
      assert.strictEqual(refused._tag, "NatsUnavailable")
      assert.include(refused.message, "maximum bytes")
      yield* provision
      yield* send(applicationChanged, large, { id: "large" })
      yield* Effect.promise(() => manager.streams.purge("CD_WORK_LIFECYCLE"))
    })
  )

  it.effect("events reach the durable follower and the listener of one connection", () =>
    Effect.gen(function* () {
      const { send, consume } = yield* Work
      const { listen } = yield* Events
      const event = (connection_id: string, sequence: number) => ({
        id: `e-${connection_id}-${sequence}`,
        type: "domain.flow.completed" as const,
        tenant_id: "t1",
        application_id: "a1",
        connection_id,
        environment: "test" as const,
        sequence,
        data: {},
        occurred_at: "2026-11-23T00:00:00.000Z"
      })
      const listening = yield* Effect.forkChild(
        Stream.runCollect(Stream.take(listen(connectionEvent, { tenant_id: "t1", connection_id: "c1" }), 2)),
        { startImmediately: true }
      )
      const followed: Array<string> = []
      const all = yield* Deferred.make<void>()
      yield* consume("webhooks_events", [
        handle(connectionEvent, (payload) =>
          Effect.suspend(() => {
            followed.push(payload.id)
            return followed.length === 3 ? Deferred.succeed(all, undefined) : Effect.void
          })
        )
      ])
      yield* Effect.sleep("50 millis")
      for (const [connection, sequence] of [
        ["c1", 1],
        ["c2", 1],
        ["c1", 2]
      ] as const) {
        yield* send(connectionEvent, event(connection, sequence), { id: `e-${connection}-${sequence}` })
      }
      yield* Deferred.await(all)
      assert.deepStrictEqual(followed.sort(), ["e-c1-1", "e-c1-2", "e-c2-1"])
      assert.deepStrictEqual(
        (yield* Fiber.join(listening)).map(({ id }) => id),
        ["e-c1-1", "e-c1-2"]
      )
    })
  )

  it.effect("a consumer goes on after the server was killed, restarted, and after its whole store was wiped", () =>
    Effect.gen(function* () {
      const server = yield* Server
      const { send, consume } = yield* Work
      const seen = new Set<string>()
      yield* consume("lifecycle_application", [
        handle(applicationChanged, ({ application_id }) => Effect.sync(() => void seen.add(application_id)))
      ])
      const message = (application_id: string) =>
        Effect.retry(send(applicationChanged, { application_id, tenant_id: "t" }, { id: application_id }), { times: 20 })
      const arrives = (id: string) =>
        Effect.retry(
          Effect.suspend(() => (seen.has(id) ? Effect.void : Effect.andThen(Effect.sleep("50 millis"), Effect.fail("not yet")))),
          { times: 400 }
        )
      yield* message("before")
      yield* arrives("before")
      yield* server.stop("SIGKILL")
      yield* server.start
      yield* provision
      yield* message("after-kill")
      yield* arrives("after-kill")
      yield* server.stop("SIGTERM")
      yield* server.wipe
      yield* server.start
      yield* provision
      yield* message("after-wipe")
      yield* arrives("after-wipe")
    })
  )
})
