import { Effect } from "effect"
import { Database } from "@connect-domain/database/Database.ts"
import { create, everything, Servers } from "../src/testing/Bench.ts"
const n = Number(process.argv[2] ?? 2000)
const program = Effect.gen(function* () {
  const { world } = yield* Servers
  const db = yield* Database
  const t0 = performance.now(); const c0 = process.cpuUsage()
  const lat: number[] = []
  const made = yield* Effect.forEach(Array.from({ length: n }, (_, i) => i), (i) => Effect.gen(function* () { const s = performance.now(); const c = yield* create(`h${i}.example.com`); lat.push(performance.now() - s); world.pointed.add(c.hostname); world.proofs.add(c.ownership_challenge.value); return c }), { concurrency: 64 })
  const dt = (performance.now() - t0) / 1000; const c1 = process.cpuUsage(c0)
  lat.sort((a, b) => a - b)
  console.log(`created ${n} in ${dt.toFixed(2)} s = ${(n / dt).toFixed(0)}/s, p50 ${lat[n >> 1]!.toFixed(1)} p99 ${lat[Math.floor(n * 0.99)]!.toFixed(1)} ms, node cpu ${(c1.user + c1.system) / 1000 / n} ms each`)
  while (true) {
    const rows = yield* db.query<{ state: string; n: number }>((sql) => sql`select state, count(*) as n from lifecycle.connections group by state`)
    console.log(((performance.now() - t0) / 1000).toFixed(1), rows.map((r) => `${r.state} ${r.n}`).join(", "), Math.round(process.memoryUsage().rss / 1e6), "MB", "looks", world.looks.length)
    if (rows.length === 1 && rows[0]!.state === "live") break
    yield* Effect.sleep(1000)
  }
  console.log("done", made.length)
})
Effect.runPromise(Effect.provide(program, everything) as Effect.Effect<void, unknown>).then(() => process.exit(0), (e) => { console.error(e); process.exit(1) })
