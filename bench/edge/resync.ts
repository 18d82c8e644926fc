/**
 * A full look at the buckets by one router process: `node bench/edge/resync.ts [hosts]`.
 *
 * A real NATS with an entry and a certificate for each hostname; once without a snapshot, once with one. Writes `bench/results/edge-resync.json`.
 */
import { fork } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { loadavg, tmpdir } from "node:os"
import { join } from "node:path"
import { registryKey } from "@connect-domain/domain/Hostname.ts"
import { certificates, hostnames } from "@connect-domain/messages/buckets.ts"
import { Kv } from "@connect-domain/nats/Kv.ts"
import { Nats } from "@connect-domain/nats/Nats.ts"
import { provision } from "@connect-domain/nats/provision.ts"
import { startNats } from "@connect-domain/nats/testing/NatsServer.ts"
import { numberedEntry } from "@connect-domain/router/testing/entries.ts"
import { Effect, Layer } from "effect"
import { report } from "../report.ts"
import { hostOf, makeCertificates } from "./manyHosts.ts"
import { checkPreloaded, routerEnvironment, routerOptions } from "./routerOptions.ts"

const [hosts = 100_000] = process.argv.slice(2).map(Number)
const folder = mkdtempSync(join(tmpdir(), "edge-resync-"))
const { certificateOf } = await makeCertificates()

const fill = Effect.gen(function* () {
  yield* provision
  const kv = yield* Kv
  const numbers = Array.from({ length: hosts }, (_, at) => at)
  const put = (at: number) => {
    const certificate = certificateOf(at)
    return Effect.andThen(
      kv.bucket(certificates).put(certificate.certificate_id, certificate),
      kv.bucket(hostnames).put(registryKey(hostOf(at)), numberedEntry(at, hostOf(at)))
    )
  }
  yield* Effect.forEach(numbers, put, { concurrency: 256, discard: true })
  yield* kv.bucket(hostnames).put("_meta", { epoch: "bench", complete: true, count: hosts })
})

type Measured = Readonly<Record<"known" | "millis" | "p99" | "max" | "peak" | "rss" | "pages" | "nursery", number>>
const look = (url: string) =>
  Effect.promise(
    () =>
      new Promise<Measured>((resolve, reject) => {
        const child = fork(join(import.meta.dirname, "resyncProcess.ts"), [String(hosts), folder], {
          env: { ...process.env, ...routerEnvironment, NATS_URL: url },
          execArgv: [...routerOptions]
        })
        let measured: Measured | undefined
        child.once("message", (message) => {
          checkPreloaded(child.pid!)
          measured = message as Measured
          // The journal is written within 50 ms.
          setTimeout(() => child.kill("SIGKILL"), 2000)
        })
        child.once("exit", () => (measured === undefined ? reject(new Error("the process ended without an answer")) : resolve(measured)))
      })
  )

const [load] = loadavg()
const [fresh, again] = await Effect.runPromise(
  Effect.scoped(
    Effect.gen(function* () {
      const nats = yield* startNats()
      yield* Effect.provide(fill, Kv.layer.pipe(Layer.provideMerge(Nats.layer("lifecycle")), Layer.provide(nats.config)))
      const first = yield* look(nats.url)
      return [first, yield* look(nats.url)] as const
    })
  )
)
rmSync(folder, { recursive: true })
const rows = (what: string, measured: Measured) => [
  { what: `${what}: time until all is applied`, value: measured.millis / 1000, unit: "s" },
  { what: `${what}: event-loop delay, p99`, value: measured.p99, unit: "ms", target: { atMost: 100 } },
  { what: `${what}: event-loop delay, max`, value: measured.max, unit: "ms" },
  { what: `${what}: most memory`, value: measured.peak, unit: "MiB", target: { atMost: 1331 } }
]
const ok = report("edge-resync", { hosts, load_before: load, fresh, again }, [
  ...rows("without a snapshot", fresh),
  ...rows("with a snapshot", again),
  { what: "hostnames that the snapshot gave", value: again.known, unit: "" }
])
process.exit(ok ? 0 : 1)
