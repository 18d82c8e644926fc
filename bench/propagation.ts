/**
 * How long a change of the hostname registry takes until the router has applied it.
 *
 * `node bench/propagation.ts [--changes 300] [--rate 10]`
 * Changes are PATCHes of one live connection's origin. A change begins when its put to the registry bucket is on the wire and ends when
 * every router's heartbeat says that its revision is applied: the router's work and the way there and back are in it, the API is not (it
 * has a row of its own).
 */
import { setTimeout as sleep } from "node:timers/promises"
import { parseArgs } from "node:util"
import { edges, hostnames } from "@connect-domain/messages/buckets.ts"
import { Kv } from "@connect-domain/nats/Kv.ts"
import { Nats } from "@connect-domain/nats/Nats.ts"
import { Effect, Stream } from "effect"
import { quantile, report } from "./report.ts"
import { runBenchmark, runtimeOf, type Stack } from "./Stack.ts"

const { values } = parseArgs({ options: { changes: { type: "string", default: "300" }, rate: { type: "string", default: "10" } } })
const changes = Number(values.changes)
const rate = Number(values.rate)

interface Change {
  readonly sentAt: number
  putAt?: number
  revision?: number
  appliedAt?: number
}

/** A connection that is live, so that the registry holds its name. */
const liveConnection = async (stack: Stack): Promise<string> => {
  const connection = await stack.create(`shop.propagation-${stack.run}.test`)
  await stack.addRecords(connection)
  await stack.api.call("POST", `/v1/connections/${connection.id}/verify`)
  for (let n = 0; n < 600; n++) {
    if ((await stack.api.connection(connection.id)).state === "live") return connection.id
    await sleep(100)
  }
  throw new Error("no connection became live within a minute")
}

await runBenchmark(async (stack) => {
  const operator = runtimeOf(stack.asOperator())
  const id = await liveConnection(stack)
  /** By the origin that the change sets: it stands in the registry entry. */
  const known = new Map<string, Change>()
  const originOf = (n: number) => `http://127.0.0.1:${20_000 + n}`
  const nats = await operator.run(Nats)
  const kv = await operator.run(Kv)
  nats.subscribe("$KV.hostnames.>", (message) => {
    const origin = /"origin":"([^"]*)"/.exec(message.string())?.[1]
    const change = known.get(origin ?? "")
    if (change !== undefined) change.putAt ??= performance.now()
  })
  const routers = new Map<string, number>()
  const settle = () => {
    if (routers.size === 0) return
    const everywhere = Math.min(...routers.values())
    for (const change of known.values()) {
      if (change.revision !== undefined && change.revision <= everywhere) change.appliedAt ??= performance.now()
    }
  }
  const onName = Stream.runForEach(kv.bucket(hostnames).watch, (event) =>
    Effect.sync(() => {
      if (event.type !== "entry" || event.value === undefined || !("origin" in event.value)) return
      const change = known.get(event.value.origin ?? "")
      if (change !== undefined) change.revision ??= event.revision
      settle()
    })
  )
  const onEdge = Stream.runForEach(kv.bucket(edges).watch, (event) =>
    Effect.sync(() => {
      if (event.type !== "entry") return
      if (event.value === undefined) routers.delete(event.key)
      else routers.set(event.key, event.value.revision)
      settle()
    })
  )
  const watching = operator.run(Effect.raceFirst(onName, onEdge)).catch(() => {})
  await sleep(1_500)
  for (let n = 0; n < changes; n++) {
    const origin = originOf(n)
    known.set(origin, { sentAt: performance.now() })
    await stack.api.call("PATCH", `/v1/connections/${id}`, { origin })
    await sleep(1_000 / rate)
  }
  await sleep(2_000)
  await Promise.race([operator.close(), sleep(2_000)])
  await Promise.race([watching, sleep(100)])
  const done = [...known.values()].filter((change) => change.appliedAt !== undefined && change.putAt !== undefined)
  const applied = done.map((change) => change.appliedAt! - change.putAt!)
  const whole = done.map((change) => change.appliedAt! - change.sentAt)
  await stack.archive([id])
  return report("propagation", { changes, rate, routers: routers.size }, [
    { what: "registry put → every router applied, p50", value: quantile(applied, 0.5), unit: "ms" },
    { what: "registry put → every router applied, p99", value: quantile(applied, 0.99), unit: "ms", target: { atMost: 50 } },
    { what: "  slowest", value: quantile(applied, 1), unit: "ms" },
    { what: "PATCH sent → every router applied, p99", value: quantile(whole, 0.99), unit: "ms" },
    { what: "changes seen through", value: done.length, unit: "", target: { atLeast: changes } }
  ])
})
