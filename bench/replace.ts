/**
 * Many certificates replaced at once, through the whole certifier: windows moved into the past (ARI), or everything of one challenge.
 *
 * `node bench/replace.ts [--certificates 1000] [--by window|challenge]`
 * Needs no sandbox: a Postgres, a NATS, an edge that answers HTTP-01, and the ACME double of the certifier's tests (Let's Encrypt's limits; it
 * refuses every order that does not name what it replaces). Certificates are there already, in the tables. Looks every 200 ms whether any
 * claim is without a valid certificate. CPU of the double and of the edge is this process's as well.
 */
import { parseArgs } from "node:util"
import { Effect } from "effect"
import { AcmeDouble } from "../services/certifier/test/AcmeDouble.ts"
import { holdCertificates } from "../services/certifier/test/heldCertificates.ts"
import { makeWorld } from "../services/certifier/test/World.ts"
import { report } from "./report.ts"

const { values } = parseArgs({
  options: { certificates: { type: "string", default: "1000" }, by: { type: "string", default: "window" } }
})
const [count, by] = [Number(values.certificates), values.by]
const hour = 3_600_000

const program = Effect.gen(function* () {
  const world = yield* makeWorld({ env: { CD_LOG_LEVEL: "warn", CD_CERTIFIER_CONCURRENCY: "16" } })
  const double = yield* Effect.acquireRelease(
    Effect.promise(() => AcmeDouble.start(world.pebble)),
    (running) => Effect.promise(() => running.stop())
  )
  double.limit = 0
  const names = Array.from({ length: count }, (_, i) => `h${i}.example${i % 500}.com`)
  const dueAt = new Date(Date.now() + (by === "window" ? 0 : 12 * hour))
  const held = yield* holdCertificates(world.database, double, names, { challenge: "tls-alpn-01", dueAt })
  if (by === "window") double.issuer.moveAll({ start: Date.now() - 2 * hour, end: Date.now() - hour })
  const started = performance.now()
  yield* world.certifierWith({ CD_ACME_DIRECTORY: double.directory, CD_ACME_LIMITS: "letsencrypt" })
  if (by !== "window") {
    const since = new Date(Date.now() - 2 * hour).toISOString()
    yield* world.replace({ ca: null, challenge: "tls-alpn-01", since, until: null, serial: null, reason: "bench", dry_run: false })
  }
  let [looks, without] = [0, 0]
  for (;;) {
    const [row] = yield* world.database.query<{ without: number; replaced: number }>(
      (sql) => sql`
        select count(*) filter (where t.claim_id is null)::int as without,
          (select count(*)::int from certifier.certificates where state = 'superseded') as replaced
        from certifier.claims c left join certifier.certificates t on t.claim_id = c.claim_id and t.state = 'current' and t.not_after > now()`
    )
    looks++
    without += row!.without
    // A claim that met a limit would wait for an hour.
    if (row!.replaced >= count || double.violations > 0) break
    yield* Effect.sleep("200 millis")
  }
  const seconds = (performance.now() - started) / 1000
  const named = new Set(double.newOrders.map(({ replaces }) => replaces))
  const missing = held.filter(({ facts }) => !named.has(facts.certId)).length
  return {
    seconds,
    looks,
    without,
    orders: double.newOrders.length,
    missing,
    violations: double.violations,
    refused: double.refusedReplacements
  }
})

const { seconds, looks, without, orders, missing, violations, refused } = await Effect.runPromise(
  Effect.scoped(program) as Effect.Effect<Effect.Success<typeof program>>
)
for (const each of refused) console.log(`  refused: ${each}`)
const ok = report(`replace-${by}`, { certificates: count, by, looks }, [
  { what: "certificates replaced a second", value: count / seconds, unit: "/s" },
  { what: "all replaced after", value: seconds, unit: "s" },
  { what: "orders", value: orders, unit: "", target: { atMost: count } },
  { what: "certificates that no order named (replaces)", value: missing, unit: "", target: { atMost: 0 } },
  { what: "claims seen without a valid certificate", value: without, unit: "", target: { atMost: 0 } },
  { what: "orders over a limit", value: violations, unit: "", target: { atMost: 0 } }
])
process.exit(ok ? 0 : 1)
