import { randomUUID } from "node:crypto"
import { Database } from "@connect-domain/database/Database.ts"
import { uuidv7 } from "@connect-domain/domain/uuidv7.ts"
import { HttpClient } from "@connect-domain/egress/HttpClient.ts"
import type { ConnectionEvent } from "@connect-domain/messages/events.ts"
import { assert, layer } from "@effect/vitest"
import { ConfigProvider, Effect, Layer } from "effect"
import { Webhook } from "standardwebhooks"
import { startReceiver, status } from "../test/Receiver.ts"
import { WebhooksDatabase, webhooksDatabase } from "../test/WebhooksDatabase.ts"
import { Deliveries, leaseSeconds } from "./Deliveries.ts"
import { DeliveryLog } from "./DeliveryLog.ts"
import { Dispatcher } from "./Dispatcher.ts"
import { Endpoints } from "./Endpoints.ts"
import { walk } from "./reconcile.ts"
import { Secrets } from "./Secrets.ts"
import { signConnectDomain } from "./Signature.ts"

const environment = ConfigProvider.layer(ConfigProvider.fromEnvRecord({ CD_MODE: "sandbox", CD_NETWORK_ALLOW: "127.0.0.0/8" }))
const services = Layer.mergeAll(Endpoints.layer, DeliveryLog.layer, Dispatcher.layer).pipe(
  Layer.provideMerge(Layer.mergeAll(Secrets.layer, Deliveries.layer, HttpClient.layer)),
  Layer.provideMerge(webhooksDatabase),
  Layer.provideMerge(WebhooksDatabase.layer),
  Layer.provide(environment)
)

const event = (tenant_id: string, fields: Partial<ConnectionEvent> = {}): ConnectionEvent => ({
  id: uuidv7(),
  type: "domain.verified",
  tenant_id,
  application_id: randomUUID(),
  connection_id: randomUUID(),
  environment: "test",
  sequence: 1,
  data: { hostname: "shop.example.com" },
  occurred_at: new Date().toISOString(),
  ...fields
})

const endpoint = (tenant_id: string, url: string, events: ReadonlyArray<string> = []) =>
  Effect.flatMap(Endpoints, (endpoints) => endpoints.create({ id: uuidv7(), tenant_id, application_id: null, url, events }))

/** As the consumer of the events does. */
const send = (one: ConnectionEvent) =>
  Effect.gen(function* () {
    const dispatcher = yield* Dispatcher
    const owed = yield* (yield* Deliveries).owe(one)
    yield* Effect.forEach(owed, ({ endpoint_id, failing }) => dispatcher.wake(endpoint_id, failing), { discard: true })
    return owed.length
  })

/** The tenant's deliveries once `done` holds of them; fails the test by its time limit. */
const settled = (tenant: string, done: (rows: ReadonlyArray<{ status: string; attempts: ReadonlyArray<unknown> }>) => boolean) =>
  Effect.gen(function* () {
    const log = yield* DeliveryLog
    while (true) {
      const { data } = yield* log.list(tenant, { endpoint_id: null, event_id: null, status: null, after: null, limit: 100 })
      if (done(data)) return data
      yield* Effect.sleep("20 millis")
    }
  })
const tried = (rows: ReadonlyArray<{ attempts: ReadonlyArray<unknown> }>) => rows.length > 0 && rows.every((row) => row.attempts.length > 0)

layer(services, { excludeTestServices: true, timeout: 60_000 })("Webhooks", (it) => {
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

  it.effect("rotates: both secrets sign, a third is refused, revoke ends the old one at once", () =>
    Effect.gen(function* () {
      const tenant = randomUUID()
      const endpoints = yield* Endpoints
      const receiver = yield* startReceiver()
      const made = yield* endpoint(tenant, receiver.url)
      const headersOf = (count: number) => Effect.map(receiver.until(count), (all) => all[count - 1]!)
      const next = (yield* endpoints.rotate(tenant, made.id, false)).signing_secret
      assert.notStrictEqual(next, made.signing_secret)
      yield* send(event(tenant))
      const during = yield* headersOf(1)
      const at = Number(during.headers["x-cd-timestamp"])
      assert.strictEqual(during.headers["x-cd-signature"], signConnectDomain(made.signing_secret, at, during.body))
      assert.strictEqual(during.headers["x-cd-signature-next"], signConnectDomain(next, at, during.body))
      for (const secret of [made.signing_secret, next]) new Webhook(secret).verify(during.body, during.headers as Record<string, string>)
      assert.strictEqual((yield* Effect.flip(endpoints.rotate(tenant, made.id, false)))._tag, "RotationInProgress")

      assert.strictEqual((yield* endpoints.rotate(tenant, made.id, true)).signing_secret, next)
      yield* send(event(tenant))
      const after = yield* headersOf(2)
      assert.throws(() => new Webhook(made.signing_secret).verify(after.body, after.headers as Record<string, string>))
      new Webhook(next).verify(after.body, after.headers as Record<string, string>)
      assert.isUndefined(after.headers["x-cd-signature-next"])

      const last = (yield* endpoints.rotate(tenant, made.id, true)).signing_secret
      assert.notStrictEqual(last, next)
      assert.strictEqual((yield* Effect.flip(endpoints.rotate(randomUUID(), made.id, false)))._tag, "EndpointNotFound")
    })
  )

  it.effect("ends an overlap by time, and stores no secret in the clear", () =>
    Effect.gen(function* () {
      const tenant = randomUUID()
      const endpoints = yield* Endpoints
      const { superuser } = yield* WebhooksDatabase
      const receiver = yield* startReceiver()
      const made = yield* endpoint(tenant, receiver.url)
      const next = (yield* endpoints.rotate(tenant, made.id, false)).signing_secret
      yield* superuser.query(
        (sql) => sql`update webhooks.secrets set expires_at = now() where endpoint_id = ${made.id} and expires_at is not null`
      )
      yield* send(event(tenant))
      const [one] = yield* receiver.until(1)
      new Webhook(next).verify(one!.body, one!.headers as Record<string, string>)
      assert.isUndefined(one!.headers["x-cd-signature-next"])
      const rows = yield* superuser.query((sql) => sql`select * from webhooks.secrets, webhooks.endpoints`)
      for (const secret of [made.signing_secret, next]) assert.notInclude(JSON.stringify(rows), secret.slice(6))
    })
  )

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
      assert.deepStrictEqual(yield* walk, { read: 3, missing: 2 })
      assert.deepStrictEqual(yield* walk, { read: 0, missing: 0 })
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
