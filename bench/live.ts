/**
 * From the first check that sees the records to `live`: the whole, and what DNS, the CA and we ourselves take of it.
 *
 * `node bench/live.ts [--count 20]`
 * Each hostname in a zone of its own, one after the other; the records stand in DNS before the check, so the times are of machines only.
 * The clock starts with the call of `verify`, which is the first check that can see them. The parts are read off the messages that services
 * exchange: DNS is what the observer's two looks take (ownership, records); the CA is from the order's start to the token and from the
 * validation's start to the certificate; ours is all the rest.
 */
import { setTimeout as sleep } from "node:timers/promises"
import { parseArgs } from "node:util"
import { Nats } from "@connect-domain/nats/Nats.ts"
import { quantile, report } from "./report.ts"
import { runBenchmark, runtimeOf, type Stack } from "./Stack.ts"

const { values } = parseArgs({ options: { count: { type: "string", default: "20" } } })
const count = Number(values.count)

const spoken = [
  "cd.call.v1.connector.>",
  "_INBOX_lifecycle.>",
  "cd.work.v1.>",
  "cd.events.v1.>",
  "$KV.challenges.>",
  "$KV.certificates.>",
  "$KV.edges.>"
]

interface Heard {
  readonly at: number
  readonly subject: string
  readonly text: string
}

interface Parts {
  readonly total: number
  readonly dns: number
  readonly ca: number
  readonly own: number
}

/** The first message from `from` on whose subject begins so and, if asked, whose text holds this. */
const first = (heard: ReadonlyArray<Heard>, prefix: string, holds = "", from = 0): number | undefined =>
  heard.find((one) => one.at >= from && one.subject.startsWith(prefix) && one.text.includes(holds))?.at

/** Undefined when a message is missing, e.g. because the certificate was there before the records. */
const partsOf = (heard: ReadonlyArray<Heard>, began: number, id: string, hostname: string): Parts | undefined => {
  const times: Array<number> = []
  /** Remembers when the next step was heard, at or after the last one. */
  const step = (prefix: string, holds = "") => {
    const at = first(heard, prefix, holds, times.at(-1) ?? began)
    times.push(at ?? Number.NaN)
    return at ?? Number.NaN
  }
  const ownershipAsked = step("cd.call.v1.connector.observe-ownership")
  const ownershipSeen = step("_INBOX_lifecycle.", '"looked_at"')
  const recordsAsked = step(`cd.work.v1.connector.observer.records.${id}`)
  const recordsSeen = step(`cd.work.v1.lifecycle.connection.records-observed.${id}`)
  const ordered = step(`cd.work.v1.certifier.order.ensure.${id}`)
  const token = step("$KV.challenges.", hostname)
  const validating = step("$KV.edges.")
  const certificate = step("$KV.certificates.", hostname)
  const live = step("cd.events.v1.", '"domain.flow.completed"')
  if (times.some(Number.isNaN)) return undefined
  const dns = ownershipSeen - ownershipAsked + (recordsSeen - recordsAsked)
  const ca = token - ordered + (certificate - validating)
  return { total: live - began, dns, ca, own: live - began - dns - ca }
}

const one = async (stack: Stack, hostname: string, heard: Array<Heard>): Promise<Parts | undefined> => {
  const connection = await stack.create(hostname)
  await stack.addRecords(connection)
  heard.length = 0
  const began = performance.now()
  await stack.api.call("POST", `/v1/connections/${connection.id}/verify`)
  const limit = Date.now() + 60_000
  while (first(heard, "cd.events.v1.", '"domain.flow.completed"') === undefined) {
    if (Date.now() > limit) throw new Error(`${hostname} is not live after 60 s: ${(await stack.api.connection(connection.id)).state}`)
    await sleep(5)
  }
  await sleep(50) // what was said about it may still be on its way
  return partsOf(heard, began, connection.id, hostname)
}

await runBenchmark(async (stack) => {
  const operator = runtimeOf(stack.asOperator())
  const nats = await operator.run(Nats)
  const heard: Array<Heard> = []
  for (const subject of spoken) {
    nats.subscribe(subject, (message) => heard.push({ at: performance.now(), subject: message.subject, text: message.string() }))
  }
  const parts: Array<Parts> = []
  // One whose messages don't follow the usual order (a look that the schedule took first, say) has no parts to tell: another takes its place.
  for (let n = 0; n <= 2 * count && parts.length < count; n++) {
    const measured = await one(stack, `shop.live-${stack.run}-${n}.test`, heard)
    if (n > 0 && measured !== undefined) parts.push(measured) // the first one warms up
  }
  await operator.close()
  const median = (part: keyof Parts) =>
    quantile(
      parts.map((one) => one[part]),
      0.5
    )
  return report("live", { count }, [
    { what: "first check that sees the records → live, median", value: median("total"), unit: "ms", target: { atMost: 2_000 } },
    { what: "  of it DNS", value: median("dns"), unit: "ms" },
    { what: "  of it the CA", value: median("ca"), unit: "ms" },
    { what: "  of it ours", value: median("own"), unit: "ms", target: { atMost: 300 } },
    { what: "slowest", value: Math.max(...parts.map((one) => one.total)), unit: "ms" },
    { what: "measured", value: parts.length, unit: "", target: { atLeast: count } }
  ])
})
