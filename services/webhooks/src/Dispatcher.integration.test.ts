import { randomUUID } from "node:crypto"
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { Webhook } from "standardwebhooks"
import { endpoint, event, send, services, settled, tried } from "../test/parts.ts"
import { startReceiver, status } from "../test/Receiver.ts"
import { WebhooksDatabase } from "../test/WebhooksDatabase.ts"
import { Deliveries } from "./Deliveries.ts"
import { DeliveryLog } from "./DeliveryLog.ts"
import { Endpoints } from "./Endpoints.ts"
import { signConnectDomain } from "./Signature.ts"

layer(services, { excludeTestServices: true })("sending", (it) => {
  it.effect("delivers an event once, signed both ways, with exactly the documented body", () =>
    Effect.gen(function* () {
      const tenant = randomUUID()
      const receiver = yield* startReceiver()
      const { signing_secret } = yield* endpoint(tenant, receiver.url)
      const one = event(tenant, { sequence: 7 })
      assert.strictEqual(yield* send(one), 1)
      assert.strictEqual(yield* send(one), 0, "the same event again is owed to nobody")
      const [{ body, headers }] = (yield* receiver.until(1)) as [(typeof receiver.received)[0]]
      const parsed = new Webhook(signing_secret).verify(body, headers as Record<string, string>) as Record<string, unknown>
      assert.deepStrictEqual(Object.keys(parsed), ["id", "type", "jobId", "data", "sequence", "sent_at"])
      assert.deepInclude(parsed, {
        id: one.id,
        type: one.type,
        jobId: one.connection_id,
        sequence: 7,
        data: { hostname: "shop.example.com" }
      })
      assert.strictEqual(headers["x-cd-signature"], signConnectDomain(signing_secret, Number(headers["x-cd-timestamp"]), body))
      assert.strictEqual(headers["content-type"], "application/json")
      const [row] = yield* settled(tenant, (rows) => rows[0]?.status === "delivered")
      assert.deepInclude(row, { event_id: one.id, next_retry_at: null })
      assert.strictEqual(receiver.received.length, 1)
    })
  )

  it.effect("owes an event only to endpoints that asked for it", () =>
    Effect.gen(function* () {
      const tenant = randomUUID()
      const receiver = yield* startReceiver()
      yield* endpoint(tenant, receiver.url, ["ssl.issued"])
      yield* endpoint(randomUUID(), receiver.url)
      const off = yield* endpoint(tenant, receiver.url)
      yield* (yield* Endpoints).update(tenant, off.id, { active: false })
      const { owe } = yield* Deliveries
      assert.strictEqual((yield* owe(event(tenant))).length, 0)
      assert.strictEqual((yield* owe(event(tenant, { type: "ssl.issued" }))).length, 1)
      assert.strictEqual((yield* owe(event(tenant, { type: "ssl.issued", occurred_at: "2026-01-01T00:00:00Z" }))).length, 0)
    })
  )

  it.effect("keeps endpoints apart: while fifty hang, fifty others get everything", () =>
    Effect.gen(function* () {
      const tenant = randomUUID()
      const hanging = yield* startReceiver(() => {})
      const healthy = yield* startReceiver()
      yield* Effect.forEach(Array.from({ length: 50 }), () => endpoint(tenant, hanging.url), { concurrency: 8 })
      yield* Effect.forEach(Array.from({ length: 50 }), () => endpoint(tenant, healthy.url), { concurrency: 8 })
      for (let n = 0; n < 5; n++) yield* send(event(tenant, { sequence: n }))
      yield* healthy.until(250)
      const { data } = yield* (yield* DeliveryLog).list(tenant, {
        endpoint_id: null,
        event_id: null,
        status: null,
        after: null,
        limit: 100
      })
      assert.isTrue(data.every((row) => row.status !== "failed"))
      hanging.server.closeAllConnections()
    })
  )

  it.effect("schedules a failed attempt again, keeps it, and tells nothing of the answer", () =>
    Effect.gen(function* () {
      const tenant = randomUUID()
      const receiver = yield* startReceiver((response) => response.writeHead(500).end("secret: hunter2"))
      yield* endpoint(tenant, receiver.url)
      yield* send(event(tenant))
      const [row] = yield* settled(tenant, tried)
      assert.strictEqual(row!.status, "pending")
      const [attempt] = row!.attempts
      assert.strictEqual(attempt!.status, 500)
      assert.notInclude(JSON.stringify(row), "hunter2")
      const wait = Date.parse(row!.next_retry_at!) - Date.parse(attempt!.at)
      assert.isTrue(wait >= 54_000 && wait < 70_000, `first gap is a minute ± 10 %, was ${wait} ms`)
    })
  )

  it.effect("does not follow redirects, reads no endless answer, and waits as long as Retry-After asks", () =>
    Effect.gen(function* () {
      const target = yield* startReceiver()
      const results = new Map<string, { status: number | null; error: string | null; next: string | null }>()
      const behaviours = {
        redirect: status(307, { location: target.url }),
        endless: (response: Parameters<ReturnType<typeof status>>[0]) => {
          response.writeHead(200)
          const pour = () => {
            while (!response.destroyed && response.write(Buffer.alloc(65_536)));
            response.once("drain", pour)
          }
          pour()
        },
        later: status(503, { "retry-after": "3600" })
      }
      for (const [name, behaviour] of Object.entries(behaviours)) {
        const tenant = randomUUID()
        const receiver = yield* startReceiver(behaviour)
        yield* endpoint(tenant, receiver.url)
        yield* send(event(tenant))
        const [row] = yield* settled(tenant, tried)
        results.set(name, { ...row!.attempts[0]!, next: row!.next_retry_at })
      }
      assert.deepInclude(results.get("redirect"), { status: 307, error: "redirects are not followed" })
      assert.strictEqual(target.received.length, 0)
      assert.deepInclude(results.get("endless"), { status: 200, error: null })
      assert.isAtLeast(Date.parse(results.get("later")!.next!), Date.now() + 3_590_000)
    })
  )

  it.effect("switches an endpoint off at 410, and after days of nothing but failures", () =>
    Effect.gen(function* () {
      const { superuser } = yield* WebhooksDatabase
      const endpoints = yield* Endpoints
      for (const [code, reason] of [
        [410, "gone"],
        [500, "failing"]
      ] as const) {
        const tenant = randomUUID()
        const receiver = yield* startReceiver(status(code))
        const { id } = yield* endpoint(tenant, receiver.url)
        if (code === 500) {
          yield* superuser.query((sql) => sql`update webhooks.endpoints set failing_since = now() - interval '6 days' where id = ${id}`)
        }
        yield* send(event(tenant))
        yield* settled(tenant, tried)
        assert.strictEqual((yield* endpoints.read(tenant, id)).active, false)
        const [row] = yield* superuser.query((sql) => sql`select disabled_reason from webhooks.endpoints where id = ${id}`)
        assert.strictEqual(row!.disabled_reason, reason)
        assert.strictEqual(yield* send(event(tenant)), 0)
        assert.strictEqual((yield* endpoints.update(tenant, id, { active: true })).active, true)
        receiver.behave(status(200))
        assert.strictEqual(yield* send(event(tenant)), 1)
        yield* receiver.until(2)
      }
    })
  )
})
