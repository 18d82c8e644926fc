/** The registry's side of `resync.ts`: `resyncProcess.ts <hosts> <snapshot folder>`, NATS in the environment. Tells its parent what it measured. */
import { monitorEventLoopDelay } from "node:perf_hooks"
import { getHeapSpaceStatistics } from "node:v8"
import { Kv } from "@connect-domain/nats/Kv.ts"
import { Nats } from "@connect-domain/nats/Nats.ts"
import { followRegistry } from "@connect-domain/router/registry/followRegistry.ts"
import { Registry } from "@connect-domain/router/registry/Registry.ts"
import { Snapshot } from "@connect-domain/router/registry/Snapshot.ts"
import { tuneYoungCollections } from "@connect-domain/router/youngCollections.ts"
import { Effect, Layer } from "effect"

const [hosts, folder] = [Number(process.argv[2]), process.argv[3]!]
tuneYoungCollections() // as the router does
const registry = new Registry()
await new Snapshot(folder, registry).load()
const known = registry.size
const delay = monitorEventLoopDelay({ resolution: 5 })
delay.enable()
const began = performance.now()
let peak = 0
const timer = setInterval(() => {
  peak = Math.max(peak, process.memoryUsage().rss)
  if (!registry.current || registry.size < hosts) return
  clearInterval(timer)
  const millis = performance.now() - began
  process.send?.({
    known,
    millis,
    p99: delay.percentile(99) / 1e6,
    max: delay.max / 1e6,
    peak: peak / 1024 / 1024,
    rss: process.memoryUsage().rss / 1024 / 1024,
    pages: registry.holdings.bytes / 1024 / 1024,
    nursery: getHeapSpaceStatistics().find(({ space_name }) => space_name === "new_space")!.physical_space_size / 1024 / 1024
  })
}, 20)
const layer = Kv.layer.pipe(Layer.provideMerge(Nats.layer("router")))
Effect.runFork(Effect.provide(followRegistry(registry), layer))
