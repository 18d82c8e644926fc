/** Traffic in Postgres: B2 counted once, B4 hours and months, P1 whose it is. */
import { randomUUID } from "node:crypto"
import { latencyBounds, type TrafficBatch, type TrafficRow } from "@connect-domain/messages/traffic.ts"
import { assert, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { BillingDatabase, billingDatabase } from "../test/BillingDatabase.ts"
import { countedHour, Traffic } from "./Traffic.ts"

const row = (connection_id: string, requests: number): TrafficRow => ({
  connection_id,
  bytes_in: requests * 10,
  bytes_out: requests * 100,
  statuses: [0, requests, 0, 0, 0, 0],
  latency: [...latencyBounds.map((_, at) => (at === 0 ? requests : 0)), 0]
})

const own = Traffic.layer.pipe(Layer.provideMerge(billingDatabase), Layer.provideMerge(BillingDatabase.layer))

layer(own, { excludeTestServices: true })("traffic", (it) => {
  const connection = (tenant_id: string) =>
    Effect.gen(function* () {
      const id = randomUUID()
      const { superuser } = yield* BillingDatabase
      yield* superuser.query((sql) => sql`insert into lifecycle.published_connections values (${id}, ${tenant_id}, 'live')`)
      return id
    })
  const batchOf = (boot_id: string, sequence: number, at: string, rows: ReadonlyArray<TrafficRow>): TrafficBatch => ({
    ...{ edge_id: "edge-1", boot_id, sequence, at, rows }
  })
  const hoursAgo = (hours: number) => new Date(Math.floor(Date.now() / 3_600_000 - hours) * 3_600_000)
  const whole = { from: "2020-01-01T00:00:00Z", to: "2100-01-01T00:00:00Z", step: "hour" as const }

  it.effect("B2: a batch counts once, however often and by however many replicas at once it comes", () =>
    Effect.gen(function* () {
      const traffic = yield* Traffic
      const tenant_id = randomUUID()
      const one = yield* connection(tenant_id)
      const two = yield* connection(tenant_id)
      const boot = randomUUID()
      const at = hoursAgo(1).toISOString()
      let counted = 0
      for (let sequence = 1; sequence <= 5; sequence++) {
        const batch = batchOf(boot, sequence, at, [row(one, sequence), row(two, 1), row(one, 1)])
        const answers = yield* Effect.all(
          Array.from({ length: 8 }, () => traffic.count(batch)),
          { concurrency: "unbounded" }
        )
        counted += answers.filter(Boolean).length
        assert.isFalse(yield* traffic.count(batchOf(boot, sequence - 1, at, [row(one, 1000)])))
      }
      assert.strictEqual(counted, 5)
      const [point] = (yield* traffic.read({ tenant_id, connection_id: one, ...whole }))!
      assert.strictEqual(point!.requests, 15 + 5)
      assert.strictEqual(point!.bytes_in, 200)
      assert.strictEqual(point!.bytes_out, 2000)
      assert.strictEqual(point!.latency[0], 20)
      assert.strictEqual(point!.at, at)
    })
  )

  it.effect("B4: hours and days begin where they begin in UTC, months add up, and a clock that is wrong counts now", () =>
    Effect.gen(function* () {
      const traffic = yield* Traffic
      const tenant_id = randomUUID()
      const one = yield* connection(tenant_id)
      const boot = randomUUID()
      const hour = hoursAgo(30)
      const before = new Date(hour.getTime() - 1)
      yield* traffic.count(batchOf(boot, 1, before.toISOString(), [row(one, 1)]))
      yield* traffic.count(batchOf(boot, 2, hour.toISOString(), [row(one, 2)]))
      yield* traffic.count(batchOf(boot, 3, new Date(hour.getTime() + 3_599_999).toISOString(), [row(one, 4)]))
      yield* traffic.count(batchOf(boot, 4, "2099-01-01T00:00:00Z", [row(one, 8)]))
      yield* traffic.count(batchOf(boot, 5, "2001-01-01T00:00:00Z", [row(one, 16)]))
      const points = (yield* traffic.read({ tenant_id, connection_id: one, ...whole }))!
      assert.deepStrictEqual(
        points.map(({ requests }) => requests),
        [1, 6, 24]
      )
      assert.strictEqual(points[1]!.at, hour.toISOString())
      const days = (yield* traffic.read({ tenant_id, connection_id: one, ...whole, step: "day" }))!
      assert.strictEqual(
        days.reduce((sum, { requests }) => sum + requests, 0),
        31
      )
      for (const { at } of days) assert.match(at, /T00:00:00\.000Z$/)
      const months = new Set(points.map(({ at }) => at.slice(0, 7)))
      let total = 0
      for (const month of months) total += (yield* traffic.month(tenant_id, month)).requests
      assert.strictEqual(total, 31)
      assert.strictEqual(
        countedHour(Date.parse("2026-03-31T23:59:59.999Z"), Date.parse("2026-04-01T00:05:00Z")),
        Date.parse("2026-03-31T23:00:00Z")
      )
    })
  )

  it.effect("P1: the tenant is the lifecycle's: an edge can not say whose traffic it is, and nobody reads another's", () =>
    Effect.gen(function* () {
      const traffic = yield* Traffic
      const [tenant_id, other] = [randomUUID(), randomUUID()]
      const one = yield* connection(tenant_id)
      const at = hoursAgo(0).toISOString()
      yield* traffic.count(batchOf(randomUUID(), 1, at, [row(one, 3), row(randomUUID(), 1_000_000)]))
      assert.isUndefined(yield* traffic.read({ tenant_id: other, connection_id: one, ...whole }))
      assert.isUndefined(yield* traffic.read({ tenant_id, connection_id: randomUUID(), ...whole }))
      assert.strictEqual((yield* traffic.month(tenant_id, at.slice(0, 7))).requests, 3)
      assert.strictEqual((yield* traffic.month(other, at.slice(0, 7))).requests, 0)
    })
  )

  it.effect("keeps hours as long as it is told, and months for ever", () =>
    Effect.gen(function* () {
      const traffic = yield* Traffic
      const { superuser } = yield* BillingDatabase
      const tenant_id = randomUUID()
      const one = yield* connection(tenant_id)
      const now = hoursAgo(0).toISOString()
      yield* traffic.count(batchOf(randomUUID(), 1, now, [row(one, 3)]))
      yield* superuser.query(
        (sql) => sql`insert into billing.traffic_hours select connection_id, hour - interval '401 days', tenant_id, 1, 1, statuses, latency
                     from billing.traffic_hours where connection_id = ${one}`
      )
      assert.strictEqual(yield* traffic.sweep, 1)
      assert.strictEqual((yield* traffic.read({ tenant_id, connection_id: one, ...whole }))!.length, 1)
      assert.strictEqual((yield* traffic.month(tenant_id, now.slice(0, 7))).requests, 3)
    })
  )
})
