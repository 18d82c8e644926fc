import { randomUUID } from "node:crypto"
import { readFileSync } from "node:fs"
import { assert, layer } from "@effect/vitest"
import { Effect, Layer, Result } from "effect"
import { BillingDatabase, billingDatabase } from "../test/BillingDatabase.ts"
import { BillingProvider } from "./BillingProvider.ts"
import { Ledger } from "./Ledger.ts"
import { parsePlanFile } from "./PlanFile.ts"
import { Plans } from "./Plans.ts"
import { orphanAfterSeconds, Quota } from "./Quota.ts"
import { Subscriptions } from "./Subscriptions.ts"

const plans = Plans.layerOf(Result.getOrThrow(parsePlanFile(readFileSync(new URL("../plans.json", import.meta.url), "utf8"))))
const services = Layer.mergeAll(Quota.layer, Ledger.layer, Subscriptions.layer).pipe(
  Layer.provide([plans, BillingProvider.layerNone]),
  Layer.provideMerge(billingDatabase),
  Layer.provideMerge(BillingDatabase.layer)
)
const period = () => new Date().toISOString().slice(0, 7)

layer(services, { excludeTestServices: true })("Quota", (it) => {
  const parallel = (tenant: string, ids: ReadonlyArray<string>) =>
    Effect.gen(function* () {
      const quota = yield* Quota
      const results = yield* Effect.forEach(ids, (id) => Effect.result(quota.reserve(tenant, id)), { concurrency: "unbounded" })
      return results.filter(Result.isSuccess).length
    })
  const fresh = (count: number) => Array.from({ length: count }, () => randomUUID())
  const counter = (tenant: string) =>
    Effect.gen(function* () {
      const { superuser } = yield* BillingDatabase
      const [row] = yield* superuser.query((sql) => sql`select used::int from billing.connect_counters where tenant_id = ${tenant}`)
      return row?.used as number | undefined
    })

  it.effect("gives exactly `limit` of many parallel creates, in each of several rounds", () =>
    Effect.gen(function* () {
      const ledger = yield* Ledger
      for (let round = 0; round < 5; round++) {
        const tenant = randomUUID()
        assert.strictEqual(yield* parallel(tenant, fresh(100)), 3)
        assert.strictEqual((yield* ledger.used(tenant, period())).connect, 3)
        assert.strictEqual(yield* counter(tenant), 3)
      }
    })
  )

  it.effect("takes one for the same connection however often and however parallel it is asked", () =>
    Effect.gen(function* () {
      const tenant = randomUUID()
      const id = randomUUID()
      assert.strictEqual(
        yield* parallel(
          tenant,
          Array.from({ length: 30 }, () => id)
        ),
        30
      )
      assert.strictEqual(yield* counter(tenant), 1)
      assert.strictEqual(yield* parallel(tenant, fresh(2)), 2)
      assert.strictEqual(yield* parallel(tenant, [id]), 1, "at the limit, a repeated one still holds its place")
    })
  )

  it.effect("says which limit of which plan, and where to upgrade", () =>
    Effect.gen(function* () {
      const tenant = randomUUID()
      yield* parallel(tenant, fresh(3))
      const error = yield* Effect.flip((yield* Quota).reserve(tenant, randomUUID()))
      assert.strictEqual(error._tag, "QuotaExceeded")
      if (error._tag !== "QuotaExceeded") return
      assert.deepStrictEqual([error.kind, error.limit, error.plan], ["connect", 3, "free"])
      assert.match(error.upgrade_url, /^http/)
    })
  )

  it.effect("gives a refused create's place back once, and a committed one's never", () =>
    Effect.gen(function* () {
      const quota = yield* Quota
      const tenant = randomUUID()
      const [kept, refused] = [randomUUID(), randomUUID()]
      yield* parallel(tenant, [kept, refused])
      yield* quota.commit(tenant, kept, new Date().toISOString())
      yield* Effect.forEach([kept, refused, refused], (id) => quota.release(tenant, id), { concurrency: "unbounded" })
      assert.strictEqual(yield* counter(tenant), 1)
      assert.strictEqual(yield* parallel(tenant, fresh(10)), 2)
    })
  )

  it.effect("counts a create that outlived its reservation, once", () =>
    Effect.gen(function* () {
      const quota = yield* Quota
      const tenant = randomUUID()
      const late = randomUUID()
      yield* parallel(tenant, fresh(2))
      yield* Effect.forEach([1, 2, 3], () => quota.commit(tenant, late, new Date().toISOString()), { concurrency: "unbounded" })
      assert.strictEqual(yield* counter(tenant), 3)
      assert.strictEqual(yield* parallel(tenant, fresh(3)), 0)
    })
  )

  it.effect("refuses by domains that are live or drifted now", () =>
    Effect.gen(function* () {
      const { superuser } = yield* BillingDatabase
      const tenant = randomUUID()
      for (const state of ["live", "live", "drifted", "failed", "propagating"])
        yield* superuser.query((sql) => sql`insert into lifecycle.published_connections values (${randomUUID()}, ${tenant}, ${state})`)
      const error = yield* Effect.flip((yield* Quota).reserve(tenant, randomUUID()))
      assert.strictEqual(error._tag === "QuotaExceeded" && error.kind, "active_domain")
      assert.strictEqual(yield* counter(tenant), 0)
      assert.strictEqual((yield* (yield* Ledger).used(tenant, period())).active_domain, 3)
    })
  )

  it.effect("locks no row of a tenant without limits, and counts right after each change of plan", () =>
    Effect.gen(function* () {
      const subscriptions = yield* Subscriptions
      const tenant = randomUUID()
      yield* parallel(tenant, fresh(2))
      yield* subscriptions.assign(tenant, "enterprise")
      assert.strictEqual(yield* parallel(tenant, fresh(20)), 20)
      assert.strictEqual(yield* counter(tenant), undefined)
      yield* subscriptions.assign(tenant, "free")
      assert.strictEqual(yield* parallel(tenant, fresh(5)), 0)
      yield* subscriptions.assign(tenant, "pro")
      assert.strictEqual(yield* parallel(tenant, fresh(100)), 78)
    })
  )

  it.effect("settles what is older than a minute by what the lifecycle knows", () =>
    Effect.gen(function* () {
      const quota = yield* Quota
      const { superuser } = yield* BillingDatabase
      const tenant = randomUUID()
      const [known, orphan, young] = [randomUUID(), randomUUID(), randomUUID()]
      yield* parallel(tenant, [known, orphan, young])
      yield* superuser.query((sql) => sql`insert into lifecycle.published_connections values (${known}, ${tenant}, 'created')`)
      yield* superuser.query(
        (sql) => sql`update billing.reservations set reserved_at = now() - ${orphanAfterSeconds + 1} * interval '1 second'
                        where connection_id = any(${[known, orphan]}::uuid[])`
      )
      assert.isBelow((yield* quota.nextSweepIn)!, 0)
      assert.deepStrictEqual(yield* quota.sweep, { committed: 1, released: 1 })
      assert.deepStrictEqual(yield* quota.sweep, { committed: 0, released: 0 })
      assert.strictEqual(yield* counter(tenant), 2)
      assert.isAbove((yield* quota.nextSweepIn)!, 0)
    })
  )

  it.effect("lets a tenant choose free plans only, the operator any, nobody an unknown one", () =>
    Effect.gen(function* () {
      const subscriptions = yield* Subscriptions
      const tenant = randomUUID()
      assert.strictEqual((yield* subscriptions.read(tenant)).plan.key, "free")
      assert.strictEqual((yield* Effect.flip(subscriptions.choose(tenant, "pro")))._tag, "BillingUnavailable")
      assert.strictEqual((yield* Effect.flip(subscriptions.choose(tenant, "enterprise")))._tag, "BillingUnavailable")
      assert.strictEqual((yield* Effect.flip(subscriptions.choose(tenant, "gold")))._tag, "UnknownPlan")
      assert.strictEqual((yield* subscriptions.assign(tenant, "growth")).plan.key, "growth")
      assert.strictEqual((yield* subscriptions.choose(tenant, "free")).plan.key, "free")
    })
  )

  it.effect("counts each certificate and each meter batch once, in its own month, whatever the order", () =>
    Effect.gen(function* () {
      const ledger = yield* Ledger
      const tenant = randomUUID()
      const entry = (id: string, kind: "cert" | "api_call", month: string, quantity: number) => ({
        id: `${tenant}-${id}`,
        kind,
        tenant_id: tenant,
        period: month,
        quantity,
        occurred_at: `${month}-15T00:00:00Z`
      })
      const all = [entry("a", "cert", "2026-10", 1), entry("b", "cert", "2026-11", 1), entry("a", "api_call", "2026-11", 250)]
      yield* ledger.record([])
      yield* Effect.forEach([all, all.toReversed(), [all[1]!, all[0]!, all[0]!], all], (entries) => ledger.record(entries), {
        concurrency: "unbounded"
      })
      const november = yield* ledger.used(tenant, "2026-11")
      assert.deepStrictEqual([november.cert, november.api_call], [1, 250])
      assert.strictEqual((yield* ledger.used(tenant, "2026-10")).cert, 1)
    })
  )
})
