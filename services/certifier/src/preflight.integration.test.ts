/** Before an order: where the name leads and what CAA says; names given up and taken up again. */
import type { CaaAnswer } from "@connect-domain/messages/connector.ts"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect } from "effect"
import { eventually, eventuallyEffect } from "../test/eventually.ts"
import { noCaa } from "../test/FakeDns.ts"
import { hurry, noticeOf, ordersAt } from "../test/outcomes.ts"
import { Pebble } from "../test/Pebble.ts"
import { ask, makeWorld, type World } from "../test/World.ts"

const caa = (...values: ReadonlyArray<string>): CaaAnswer => ({
  ...noCaa,
  verdict: "found",
  at: "example.com",
  records: values.map((value) => ({ flags: 0, tag: "issue", value }))
})
const leading = (hostname: string) => [{ host: hostname, type: "CNAME" as const, value: "edge.test", ttl: 300 }]
/** Its last failure lies further back. */
const minutesLater = (world: World) =>
  world.database.query((sql) => sql`update certifier.claims set failed_at = failed_at - interval '5 minutes'`)

describe("pre-flight", () => {
  it.live("A7: a name that leads elsewhere, CAA that forbids, CAA that can't be known: no order, words; then each is put right", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld()
      yield* world.certifier
      world.dns.target = "parking.example.net"
      const asked = { ...ask("shop.example.com"), records: leading("shop.example.com") }
      yield* world.ensure(asked)
      const leads = yield* noticeOf(world, asked.claim_id, "failed")
      assert.include(leads.certificate.last_error!, "CNAME record should be edge.test, but parking.example.net stands there")
      assert.strictEqual(ordersAt(world), 0)

      world.dns.target = "edge.test"
      world.dns.caa = caa("digicert.com")
      yield* hurry(world)
      yield* world.ensure(asked)
      const caaSays = yield* eventually("the CAA finding", () =>
        world.notices.find((each) => each.certificate.last_error?.includes("digicert.com"))
      )
      assert.include(caaSays.certificate.last_error!, 'Add the record example.com CAA 0 issue "pebble.letsencrypt.org"')

      world.dns.caa = { ...noCaa, verdict: "unknown", at: "example.com", error: "ns1: answers SERVFAIL" }
      yield* hurry(world)
      yield* world.ensure(asked)
      yield* eventually("unclear", () => world.notices.find((each) => each.certificate.last_error?.includes("answers SERVFAIL")))
      assert.strictEqual(ordersAt(world), 0)

      // Asked with a reason: no waiting for the ladder's next step.
      world.dns.caa = caa("digicert.com", "pebble.letsencrypt.org; validationmethods=http-01")
      yield* minutesLater(world)
      yield* world.ensure({ ...asked, reason: "records_changed" })
      yield* noticeOf(world, asked.claim_id, "issued")
      assert.strictEqual(ordersAt(world), 1)
      const rows = yield* world.database.query<{ caa: CaaAnswer }>((sql) => sql`select caa from certifier.claims`)
      assert.strictEqual(rows[0]!.caa.records.length, 2)
    })
  )

  it.live("a reason that comes while the name is being tried, or looked at, is not lost", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld()
      yield* world.certifier
      const asked = ask("urged.example.com")
      /** `wish`, while the question for CAA that `begin` leads to has no answer yet; then it gets one. */
      const meanwhile = Effect.fnUntraced(function* (begin: Effect.Effect<unknown, unknown>, wish: Effect.Effect<unknown, unknown>) {
        const open = yield* Deferred.make<void>()
        world.dns.holds.push(Deferred.await(open))
        yield* begin
        yield* eventually("the question for CAA", () => world.dns.holds.length === 0)
        yield* wish
        yield* eventuallyEffect("the wish in the row", isUrged)
        yield* Deferred.succeed(open, undefined)
      })
      const isUrged = Effect.map(
        world.database.query((sql) => sql`select 1 from certifier.claims where urged and leased`),
        (rows) => rows.length === 1
      )
      const failures = () => world.notices.filter(({ change }) => change === "failed").length

      // An attempt that fails, for which it came too late: another follows at once, and the ladder's next one only then.
      world.dns.caa = caa("digicert.com")
      yield* meanwhile(world.ensure(asked), world.ensure({ ...asked, reason: "records_changed" }))
      const first = yield* eventually("the first failure", () => world.notices.find(({ change }) => change === "failed"))
      assert.isBelow(Date.parse(first.certificate.next_attempt_at!) - Date.now(), 10_000)
      yield* eventuallyEffect(
        "both failures",
        Effect.sync(() => failures() === 2),
        20
      )
      const rows = yield* world.database.query<{ seconds: number; urged: boolean }>(
        (sql) => sql`select extract(epoch from retry_at - now())::float8 as seconds, urged from certifier.claims`
      )
      assert.isAbove(rows[0]!.seconds, 300)
      assert.isFalse(rows[0]!.urged)

      // A look at a name that was given up, which found nothing new.
      const givenUp = world.database.query(
        (sql) => sql`
          update certifier.claims set paused_until = now() + interval '30 days', retry_at = now() + interval '30 days', due_at = now(),
            paused_view = null, failed_at = now() - interval '1 day'`
      )
      world.dns.caa = undefined
      yield* meanwhile(Effect.andThen(givenUp, world.ensure(asked)), world.ensure({ ...asked, reason: "asked" }))
      world.dns.caa = noCaa
      yield* noticeOf(world, asked.claim_id, "issued")
      assert.strictEqual(ordersAt(world), 1)
    })
  )

  it.live("the account that CAA names must be ours, and remembered records count while nobody can look", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld()
      yield* world.certifier
      const first = ask("first.example.com")
      world.dns.caa = caa("pebble.letsencrypt.org; accounturi=https://elsewhere.test/1")
      yield* world.ensure(first)
      const failed = yield* noticeOf(world, first.claim_id, "failed")
      const accounts = yield* world.database.query<{ kid: string }>((sql) => sql`select kid from certifier.accounts`)
      assert.include(failed.certificate.last_error!, `accounturi=${accounts[0]!.kid}`)
      world.dns.caa = undefined
      yield* hurry(world)
      yield* world.ensure(first)
      yield* Effect.sleep("500 millis")
      assert.strictEqual(ordersAt(world), 0)
      // Nothing remembered, nobody to ask: the CA looks for itself.
      const second = ask("second.example.com")
      yield* world.ensure(second)
      yield* noticeOf(world, second.claim_id, "issued")
    })
  )

  it.live("A8: CAA chooses among several CAs; the only one allowed is waited for", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld({ env: { CD_CERTIFIER_CONCURRENCY: "4" } })
      const backup = yield* Effect.acquireRelease(
        Effect.promise(() => Pebble.start({ httpPort: world.pebble.httpPort, trust: world.pebble })),
        (running) => Effect.promise(() => running.stop())
      )
      yield* world.certifierWith({ CD_ACME_DIRECTORY: `${world.pebble.directory},${backup.directory}` })
      // Accounts at both are known; both Pebbles have one CAA name, so the account tells them apart.
      yield* world.ensure(ask("warm.example.com"))
      yield* eventuallyEffect(
        "two accounts",
        Effect.map(
          world.database.query((sql) => sql`select 1 from certifier.accounts where kid is not null`),
          (rows) => rows.length === 2
        )
      )
      const kids = yield* world.database.query<{ kid: string }>(
        (sql) => sql`select kid from certifier.accounts where directory = ${backup.directory}`
      )
      world.dns.caa = caa(`pebble.letsencrypt.org; accounturi=${kids[0]!.kid}`)
      const chosen = ask("chosen.example.com")
      yield* world.ensure(chosen)
      assert.strictEqual((yield* noticeOf(world, chosen.claim_id, "issued")).certificate.ca, new URL(backup.directory).host)

      yield* world.database.query(
        (sql) => sql`insert into certifier.pauses values (${backup.directory}, now() + interval '3 seconds', 'test')`
      )
      const patient = ask("patient.example.com")
      yield* world.ensure(patient)
      const pending = yield* noticeOf(world, patient.claim_id, "pending")
      assert.strictEqual(pending.certificate.status, "pending")
      assert.strictEqual((yield* noticeOf(world, patient.claim_id, "issued")).certificate.ca, new URL(backup.directory).host)
      assert.isUndefined(world.notices.find((each) => each.change === "failed"))
    })
  )

  it.live("A7: given up after days, seen in the mirror; no order until the DNS changes or somebody asks", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld({ env: { CD_CERTIFIER_PAUSE_DAYS: "3" } })
      yield* world.certifier
      world.edge.answering = false
      const asked = ask("dead.example.com")
      yield* world.ensure(asked)
      const first = yield* noticeOf(world, asked.claim_id, "failed")
      assert.isUndefined(first.certificate.paused_until)
      const giveUp = Effect.gen(function* () {
        const told = world.notices.length
        yield* world.database.query(
          (sql) => sql`update certifier.claims set failing_since = now() - interval '4 days', due_at = now(), retry_at = null`
        )
        yield* world.ensure(asked)
        return yield* eventually("paused", () => world.notices.slice(told).find((each) => each.certificate.paused_until !== undefined))
      })
      const paused = yield* giveUp
      assert.isAbove(Date.parse(paused.certificate.paused_until!) - Date.now(), 30 * 86_400_000)
      assert.strictEqual(paused.certificate.status, "failed")

      // A look that finds nothing new, and the same wish again: no order.
      const orders = ordersAt(world)
      world.edge.answering = true
      const glance = world.database.query((sql) => sql`update certifier.claims set due_at = now()`)
      const looked = world.dns.asked.length
      yield* glance
      yield* world.ensure(asked)
      // To its end: one that is still under way would set the next look's hour after us.
      yield* eventuallyEffect(
        "a look's end",
        Effect.map(
          world.database.query((sql) => sql`select 1 from certifier.claims where not leased and due_at > now() + interval '1 hour'`),
          (rows) => rows.length === 1
        )
      )
      assert.isAbove(world.dns.asked.length, looked)
      assert.strictEqual(ordersAt(world), orders)

      world.dns.caa = caa("pebble.letsencrypt.org")
      yield* glance
      yield* world.ensure(asked)
      yield* noticeOf(world, asked.claim_id, "issued")
      assert.strictEqual(ordersAt(world), orders + 1)

      const other = ask("button.example.com")
      world.edge.answering = false
      yield* world.ensure(other)
      yield* noticeOf(world, other.claim_id, "failed")
      world.edge.answering = true
      yield* minutesLater(world)
      yield* world.ensure({ ...other, reason: "asked" })
      yield* noticeOf(world, other.claim_id, "issued")
    })
  )
})
