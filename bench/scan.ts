/**
 * What a million certificates cost while nothing happens to them: finding what is due, and the rows of each look at a renewal window.
 *
 * `node bench/scan.ts [--certificates 1000000] [--seconds 30]`
 * Needs no sandbox: it starts a Postgres, fills `certifier.claims` and `certifier.certificates`, and runs the certifier's own scheduler
 * with looks that ask no CA (ARI's HTTP is apart): each reads its certificate and settles for six hours later, as Let's Encrypt asks.
 * CPU is that of this process and of Postgres together, as a share of one core. The scan alone: the scheduler's three questions
 * (pauses, lease, next due), 500 times while nothing is due.
 * A share counts what was spent beyond an idle process of the same age.
 */
import { readdirSync, readFileSync } from "node:fs"
import { parseArgs } from "node:util"
import { Authorities } from "@connect-domain/certifier/Authorities.ts"
import { ClaimAttendant } from "@connect-domain/certifier/attendClaim.ts"
import { Budgets, make as makeBudgets } from "@connect-domain/certifier/Budgets.ts"
import { Certificates } from "@connect-domain/certifier/Certificates.ts"
import { Claims } from "@connect-domain/certifier/Claims.ts"
import { scheduler } from "@connect-domain/certifier/Scheduler.ts"
import { Wake } from "@connect-domain/certifier/Wake.ts"
import { makeGauges } from "@connect-domain/certifier/watch/Gauges.ts"
import { Database } from "@connect-domain/database/Database.ts"
import { migrateDatabase } from "@connect-domain/database/migrate.ts"
import { startPostgres } from "@connect-domain/database/testing/PostgresServer.ts"
import { ConfigProvider, Context, Effect, Layer } from "effect"
import { ownMigrations } from "../services/certifier/test/World.ts"
import { type Row, report } from "./report.ts"

const { values } = parseArgs({
  options: { certificates: { type: "string", default: "1000000" }, seconds: { type: "string", default: "30" } }
})
const [count, seconds] = [Number(values.certificates), Number(values.seconds)]
const lookEverySeconds = 21_600

/** CPU of the server and of every backend so far, milliseconds (user and system, in ticks of 10 ms). */
const cpuOfTree = (root: number): number => {
  let ticks = 0
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" ")
      if (Number(pid) === root || Number(fields[1]) === root) ticks += Number(fields[11]) + Number(fields[12])
    } catch {
      // It ended meanwhile.
    }
  }
  return ticks * 10
}

const batch = 50_000

const fill = Effect.fnUntraced(function* ({ query }: Database["Service"], from: number) {
  const to = Math.min(from + batch - 1, count)
  yield* query(
    (sql) => sql`
      insert into certifier.claims (claim_id, connection_id, tenant_id, hostname, environment, state, due_at, renew_at, renew_because)
      select 'c' || n, 'c' || n, 't', 'h' || n || '.example' || (n / 10) || '.com', 'live', 'held',
        now() + make_interval(secs => random() * ${lookEverySeconds}), now() + interval '30 days' + make_interval(secs => random() * 2592000), 'ari'
      from generate_series(${from}::int, ${to}::int) as n`
  )
  yield* query(
    (sql) => sql`
      insert into certifier.certificates (id, claim_id, state, names, environment, chain, key_sealed, serial, not_before, not_after, ca,
        directory, issuer, top_fingerprint, cert_id, fence)
      select gen_random_uuid(), 'c' || n, 'current', array['h' || n || '.example' || (n / 10) || '.com'], 'live', repeat('x', 3000),
        repeat('k', 500), to_hex(n), now() - interval '40 days', now() + interval '50 days', 'letsencrypt', 'https://ca.example/dir',
        'R10', 'f', 'id' || n, 1
      from generate_series(${from}::int, ${to}::int) as n`
  )
})

const program = Effect.gen(function* () {
  const postgres = yield* startPostgres({ settings: ["shared_buffers=512MB", "max_wal_size=4GB"] })
  const url = yield* postgres.emptyDatabase
  yield* migrateDatabase(url, yield* ownMigrations)
  const database = Context.get(yield* Layer.build(Database.layerFor({ url, name: "bench", size: 4 })), Database)
  const budgets = makeBudgets(database, () => [])
  const provided = Layer.mergeAll(
    Layer.succeed(Database, database),
    Layer.succeed(Authorities, Authorities.of({ of: () => [], forClaim: () => [], acme: [], sessionOf: () => undefined })),
    Layer.succeed(Budgets, budgets),
    Wake.layer
  )
  const tables = Layer.mergeAll(Claims.layer, Certificates.layer).pipe(Layer.provideMerge(provided))
  const started = performance.now()
  for (let from = 1; from <= count; from += batch) yield* fill(database, from)
  yield* database.query((sql) => sql`vacuum analyze certifier.claims`)
  yield* database.query((sql) => sql`vacuum analyze certifier.certificates`)
  yield* database.query((sql) => sql`checkpoint`).pipe(Effect.ignore)
  console.log(`  ${count} certificates made in ${((performance.now() - started) / 1000).toFixed(0)} s`)

  const pid = postgres.pid()!
  let looks = 0
  const attendant = (claims: Claims["Service"], certificates: Certificates["Service"]) =>
    ClaimAttendant.of({
      attend: (claim) =>
        Effect.gen(function* () {
          looks++
          yield* certificates.ofClaim(claim.claim_id)
          const dueAt = new Date(Date.now() + lookEverySeconds * 1000 * (0.9 + Math.random() / 10))
          const window = { start: claim.renew_at!, end: claim.renew_at! }
          yield* claims.settle(claim, { dueAt, renewAt: claim.renew_at!, renewBecause: "ari", window, replaced: false })
        })
    })

  const spent = Effect.fnUntraced(function* (during: Effect.Effect<unknown, unknown>) {
    const [ours, theirs] = [process.cpuUsage(), cpuOfTree(pid)]
    yield* during
    const { user, system } = process.cpuUsage(ours)
    return { ours: (user + system) / 1000, theirs: cpuOfTree(pid) - theirs }
  })
  const idle = yield* spent(Effect.sleep(seconds * 1000))
  const run = Effect.scoped(
    Effect.gen(function* () {
      const layer = scheduler.pipe(
        Layer.provide(
          Layer.effect(
            ClaimAttendant,
            Effect.gen(function* () {
              return attendant(yield* Claims, yield* Certificates)
            })
          )
        ),
        Layer.provide(tables)
      )
      yield* Layer.build(layer)
      yield* Effect.sleep(seconds * 1000)
    })
  )
  yield* run
  looks = 0
  const working = yield* spent(run)
  const done = looks
  // Nothing due for an hour: what is left is looking for work, once in ten seconds and at each wake.
  yield* database.query(
    (sql) => sql`update certifier.claims set due_at = due_at + interval '2 hours' where due_at < now() + interval '1 hour'`
  )
  yield* database.query((sql) => sql`vacuum certifier.claims`)
  const claims = yield* Effect.provide(Claims, tables)
  const rounds = 500
  const scanning = yield* spent(
    Effect.forEach(
      Array.from({ length: rounds }),
      () => Effect.andThen(budgets.paused, Effect.andThen(claims.lease(16, []), claims.nextDue([]))),
      { discard: true }
    )
  )
  const gauges = yield* Effect.provide(makeGauges, provided)
  const [seldom, often] = [yield* spent(gauges.seldom), yield* spent(gauges.often)]
  return { idle, working, scanning, seldom, often, done, rounds }
})

const settings = ConfigProvider.layer(ConfigProvider.fromEnvRecord({ CD_MODE: "sandbox", CD_DATABASE_POOL: "4" }))
const { idle, working, scanning, seldom, often, done, rounds } = await Effect.runPromise(
  Effect.scoped(Effect.provide(program, settings)) as Effect.Effect<Effect.Success<typeof program>>
)
const share = (millis: number, of: number) => (millis / (of * 1000)) * 100
const total = (cpu: { ours: number; theirs: number }) => cpu.ours + cpu.theirs
const perScan = total(scanning) / rounds
// The scheduler looks for work once a second while looks are due, and at most four times a second at the ends of attempts.
const scansASecond = 5
const rows: ReadonlyArray<Row> = [
  { what: "looks at windows that were due", value: done / seconds, unit: "/s" },
  { what: "one scan (pauses, lease, next due), CPU", value: perScan, unit: "ms" },
  { what: "the scan, share of a core", value: share(perScan * scansASecond, 1), unit: "%", target: { atMost: 1 } },
  { what: "scan and rows of every look, share of a core", value: share(total(working) - total(idle), seconds), unit: "%" },
  { what: "CPU of one look but for HTTP", value: (total(working) - total(idle)) / Math.max(done, 1), unit: "ms" },
  { what: "gauges that walk an index, once, CPU", value: total(seldom), unit: "ms" },
  { what: "the gauges, share of a core", value: share(total(seldom), 300) + share(total(often), 60), unit: "%" }
]
process.exitCode = report("scan", { certificates: count, seconds, look_every_seconds: lookEverySeconds }, rows) ? 0 : 1
