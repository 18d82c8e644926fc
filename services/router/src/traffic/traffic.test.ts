/** Traffic at the edge: counted exactly, kept through outages and kills, never twice. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { latencyBounds, type TrafficBatch, type TrafficRow } from "@connect-domain/messages/traffic.ts"
import * as fc from "fast-check"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { mergeBatches, spans } from "./mergeBatches.ts"
import { TrafficCounters } from "./TrafficCounters.ts"
import { maxBatches, maxRows, TrafficSpool } from "./TrafficSpool.ts"

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "connect-domain-traffic-"))
})
afterEach(() => rmSync(folder, { recursive: true }))

const row = (connection_id: string, requests: number): TrafficRow => ({
  ...{ connection_id, bytes_in: requests, bytes_out: 2 * requests, statuses: [0, requests, 0, 0, 0, 0] },
  latency: [requests, ...latencyBounds.map(() => 0)]
})
const minute = (n: number) => new Date(Date.UTC(2030, 0, 1) + n * 60_000).toISOString()
const requestsIn = (rows: ReadonlyArray<TrafficRow>) => rows.reduce((sum, { statuses }) => sum + statuses.reduce((a, b) => a + b), 0)

/** What billing does: a batch counts if its number is above the last one of its boot. */
class Billing {
  requests = 0
  largest = 0
  private readonly last = new Map<string, number>()
  count(batch: TrafficBatch): void {
    this.largest = Math.max(this.largest, batch.rows.length)
    if ((this.last.get(batch.boot_id) ?? 0) >= batch.sequence) return
    this.last.set(batch.boot_id, batch.sequence)
    this.requests += requestsIn(batch.rows)
  }
}

describe("counting", () => {
  it("puts each request into its connection, class of status and latency bucket, once", () => {
    const counters = new TrafficCounters()
    const record = { connectionId: "c", status: 200, bytesIn: 3, bytesOut: 5, millis: 1 }
    for (const status of [200, 299, 301, 404, 503, 101, 0, 999]) counters.count({ ...record, status })
    counters.count({ ...record, connectionId: "d", millis: 1.001 })
    counters.count({ ...record, connectionId: "d", millis: 1e9 })
    counters.count({ ...record, connectionId: "" })
    const [c, d, ...others] = counters.take()
    expect(others).toEqual([])
    expect(c).toMatchObject({ connection_id: "c", bytes_in: 24, bytes_out: 40, statuses: [1, 2, 1, 1, 1, 2] })
    expect(c!.latency).toEqual([8, ...latencyBounds.map(() => 0)])
    expect(d!.latency).toEqual([0, 1, ...latencyBounds.slice(2).map(() => 0), 1])
    expect(counters.take()).toEqual([])
  })

  it("adds up to the same sums, never over the end of an hour, day or month", () => {
    const batch = fc.record({ minute: fc.nat(200_000), connection: fc.constantFrom("a", "b", "c"), requests: fc.nat(1000) })
    fc.assert(
      fc.property(fc.array(batch, { maxLength: 60 }), fc.constantFrom(...spans), (all, span) => {
        const batches = all.map((one) => ({ at: minute(one.minute), rows: [row(one.connection, one.requests)] }))
        const merged = mergeBatches(batches, span)
        expect(new Set(merged.map(({ at }) => at.slice(0, span))).size).toBe(merged.length)
        for (const { at, rows } of merged) {
          const same = batches.filter((one) => one.at.slice(0, span) === at.slice(0, span))
          expect(requestsIn(rows)).toBe(requestsIn(same.flatMap((one) => one.rows)))
          expect(new Set(rows.map(({ connection_id }) => connection_id)).size).toBe(rows.length)
        }
      })
    )
  })
})

describe("what is not confirmed", () => {
  const send = async (spool: TrafficSpool, billing: Billing, most: number, hear: () => boolean) => {
    for (let n = 0; n < most; n++) {
      const batch = spool.next()
      if (batch === undefined) return
      billing.count(batch)
      if (hear()) await spool.confirmed()
    }
  }

  it("is counted exactly once whatever is lost, repeated, added up or killed in between", async () => {
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.record({ add: fc.integer({ min: 1, max: 5 }) }) },
      { weight: 2, arbitrary: fc.record({ send: fc.nat(4), heard: fc.boolean() }) },
      { weight: 1, arbitrary: fc.record({ outage: fc.integer({ min: 100, max: 200 }) }) },
      { weight: 1, arbitrary: fc.record({ kill: fc.constant(true) }) }
    )
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
        const own = mkdtempSync(join(folder, "run-"))
        const billing = new Billing()
        let spool = new TrafficSpool("e", own)
        let [counted, at] = [0, 0]
        const add = async (requests: number) => {
          at += 7
          counted += requests
          await spool.add({ at: minute(at), rows: [row(`c${requests % 3}`, requests)] })
        }
        for (const one of steps) {
          if ("add" in one) await add(one.add)
          else if ("send" in one) await send(spool, billing, one.send, () => one.heard)
          else if ("outage" in one) for (let n = 0; n < one.outage; n++) await add(1)
          else spool = new TrafficSpool("e", own)
        }
        await send(spool, billing, 10_000, () => true)
        expect(billing.requests).toBe(counted)
        expect(spool.size).toBe(0)
        expect(readdirSync(own)).toEqual([])
      }),
      { numRuns: 25 }
    )
  })

  it("stays bounded through an outage of weeks, and loses nothing but time's resolution", async () => {
    const spool = new TrafficSpool("e", undefined)
    let counted = 0
    let most = 0
    for (let n = 0; n < 4_000; n++) {
      await spool.add({ at: minute(n * 20), rows: [row("a", 1), row(`b${n % 5}`, 2)] })
      counted += 3
      most = Math.max(most, spool.size)
    }
    expect(most).toBeLessThanOrEqual(maxBatches + 1)
    const billing = new Billing()
    await send(spool, billing, 10_000, () => true)
    expect(billing.requests).toBe(counted)
  })

  it("comes in messages of a bounded size, and survives a file that was torn", async () => {
    const spool = new TrafficSpool("e", folder)
    await spool.add({ at: minute(1), rows: Array.from({ length: 2 * maxRows + 7 }, (_, n) => row(`c${n}`, 1)) })
    writeFileSync(join(folder, "x.json"), "{torn")
    writeFileSync(join(folder, "y.json.new"), "{")
    const billing = new Billing()
    await send(new TrafficSpool("e", folder), billing, 100, () => true)
    expect(billing.requests).toBe(2 * maxRows + 7)
    expect(billing.largest).toBe(maxRows)
    expect(readdirSync(folder)).toEqual([])
  })

  it("is in memory while the disk does not take it", async () => {
    const spool = new TrafficSpool("e", join(folder, "gone"))
    rmSync(join(folder, "gone"), { recursive: true })
    await spool.add({ at: minute(1), rows: [row("c", 3)] })
    expect(spool.problem).toMatch(/ENOENT/)
    expect(requestsIn(spool.next()!.rows)).toBe(3)
  })
})
