import { randomUUID } from "node:crypto"
import { Database } from "@connect-domain/database/Database.ts"
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { endpoint, event, send, services, settled, tried } from "../test/parts.ts"
import { startReceiver, status } from "../test/Receiver.ts"
import { WebhooksDatabase } from "../test/WebhooksDatabase.ts"
import { Deliveries, leaseSeconds } from "./Deliveries.ts"
import { DeliveryLog } from "./DeliveryLog.ts"
import { Dispatcher } from "./Dispatcher.ts"
import { walk } from "./reconcile.ts"

layer(services, { excludeTestServices: true })("deliveries", (it) => {
  it.effect("replays under the same event id, and sends a test without retries", () =>
    Effect.gen(function* () {
      const tenant = randomUUID()
      const log = yield* DeliveryLog
      const dispatcher = yield* Dispatcher
      const receiver = yield* startReceiver()
      const { id } = yield* endpoint(tenant, receiver.url)
      const one = event(tenant)
      yield* send(one)
      const [first] = yield* settled(tenant, (rows) => rows[0]?.status === "delivered")
      yield* dispatcher.wake(yield* log.replay(tenant, first!.id), false)
      const [, again] = yield* receiver.until(2)
      assert.strictEqual(again!.headers["webhook-id"], one.id)
      const [twice] = yield* settled(tenant, (rows) => rows[0]?.attempts.length === 2)
      assert.strictEqual(twice!.id, first!.id)
      assert.strictEqual((yield* Effect.flip(log.replay(randomUUID(), first!.id)))._tag, "DeliveryNotFound")

      receiver.behave(status(404))
      const claim = yield* log.claimTest(tenant, id)
      yield* dispatcher.attempt(claim)
      const test = yield* log.read(tenant, claim.id)
      assert.deepInclude(test, { status: "failed", next_retry_at: null })
      assert.strictEqual(JSON.parse(receiver.received[2]!.body).type, "test")
      const { data } = yield* log.list(tenant, { endpoint_id: id, event_id: one.id, status: "delivered", after: null, limit: 1 })
      assert.deepStrictEqual(
        data.map((row) => row.id),
        [first!.id]
      )
      const page = yield* log.list(tenant, { endpoint_id: null, event_id: null, status: null, after: claim.id, limit: 10 })
      assert.deepStrictEqual([page.data.map((row) => row.id), page.more], [[first!.id], false])
    })
  )

  it.effect("takes back what a dead sender had claimed, and drops the dead sender's late result", () =>
    Effect.gen(function* () {
      const tenant = randomUUID()
      const deliveries = yield* Deliveries
      const { superuser } = yield* WebhooksDatabase
      const receiver = yield* startReceiver()
      const { id } = yield* endpoint(tenant, receiver.url)
      yield* deliveries.owe(event(tenant))
      const [dead] = yield* deliveries.claim(id)
      assert.strictEqual((yield* deliveries.claim(id)).length, 0)
      const due = (yield* deliveries.due).find((one) => one.endpoint_id === id)
      assert.isTrue(due!.wait > 0 && due!.wait <= leaseSeconds * 1000)
      yield* superuser.query((sql) => sql`update webhooks.deliveries set next_attempt_at = now() where id = ${dead!.id}`)
      const [alive] = yield* deliveries.claim(id)
      assert.strictEqual(alive!.id, dead!.id)
      const result = { status: 200, error: undefined, latencyMs: 3 }
      assert.isFalse(yield* deliveries.settle(dead!, new Date(), result, { kind: "delivered" }))
      assert.isTrue(yield* deliveries.settle(alive!, new Date(), result, { kind: "delivered" }))
    })
  )

  it.effect("finds events in the log that no message brought, and none twice", () =>
    Effect.gen(function* () {
      const tenant = randomUUID()
      const { superuser } = yield* WebhooksDatabase
      const dispatcher = yield* Dispatcher
      const receiver = yield* startReceiver()
      yield* endpoint(tenant, receiver.url)
      const lost = [event(tenant), event(tenant, { type: "ssl.issued" })]
      const brought = event(tenant)
      for (const [index, one] of [...lost, brought].entries()) {
        yield* superuser.query(
          (sql) => sql`insert into lifecycle.published_events values (${`${"0".repeat(19)}1-${index}`}, ${one.id}, ${tenant},
            ${one.application_id}, ${one.connection_id}, 'test', ${one.type}, ${one.sequence}, ${sql.json(one.data as never)}, now())`
        )
      }
      yield* send(brought)
      assert.deepStrictEqual(yield* walk(0), { read: 3, missing: 2 })
      assert.deepStrictEqual(yield* walk(0), { read: 0, missing: 0 })
      yield* dispatcher.look
      const all = yield* receiver.until(3)
      assert.sameMembers(
        all.map((one) => one.headers["webhook-id"]),
        [...lost, brought].map((one) => one.id)
      )
    })
  )

  it.effect("refuses an address that became internal, at the attempt", () =>
    Effect.gen(function* () {
      const tenant = randomUUID()
      const { query } = yield* Database
      const { id } = yield* endpoint(tenant, "http://127.0.0.1:1/")
      yield* query((sql) => sql`update webhooks.endpoints set url = 'http://169.254.169.254/latest/meta-data' where id = ${id}`)
      yield* send(event(tenant))
      const [row] = yield* settled(tenant, tried)
      assert.match(row!.attempts[0]!.error!, /not allowed/)
    })
  )
})
