/** Traffic at the edge: counted exactly, kept through outages and kills, never twice. */
import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs"
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

  const away = (path: string) => {
    renameSync(path, `${path}.away`)
    writeFileSync(path, "")
  }
  const back = (path: string) => {
    rmSync(path)
    renameSync(`${path}.away`, path)
  }
  /** What billing has after everything was sent by a process that finds this folder. */
  const survivors = async (at: string) => {
    const billing = new Billing()
    await send(new TrafficSpool("e", at), billing, 10_000, () => true)
    return billing.requests
  }
  /** The place where the spool writes its file that begins with the batch `number`. */
  const placeOf = (at: string, number: number) =>
    join(at, `${readdirSync(at)[0]!.split(".")[0]}.${String(number).padStart(12, "0")}.json.new`)

  it("is counted exactly once whatever is lost, repeated, added up, refused by the disk or killed in between", async () => {
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.record({ add: fc.integer({ min: 1, max: 5 }) }) },
      { weight: 2, arbitrary: fc.record({ send: fc.nat(4), heard: fc.boolean() }) },
      { weight: 1, arbitrary: fc.record({ outage: fc.integer({ min: 100, max: 200 }) }) },
      { weight: 1, arbitrary: fc.record({ kill: fc.constant(true) }) },
      { weight: 1, arbitrary: fc.record({ broken: fc.boolean() }) }
    )
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
        const own = mkdtempSync(join(folder, "run-"))
        const billing = new Billing()
        let spool = new TrafficSpool("e", own)
        let [counted, at, broken] = [0, 0, false]
        const setBroken = (to: boolean) => {
          if (to !== broken) (to ? away : back)(own)
          broken = to
        }
        const add = async (requests: number) => {
          at += 7
          counted += requests
          await spool.add({ at: minute(at), rows: [row(`c${requests % 3}`, requests)] })
        }
        for (const one of steps) {
          if ("add" in one) await add(one.add)
          else if ("send" in one) await send(spool, billing, one.send, () => one.heard)
          else if ("outage" in one) for (let n = 0; n < one.outage; n++) await add(1)
          else if ("broken" in one) setBroken(one.broken)
          else if (spool.problem === undefined) spool = new TrafficSpool("e", own)
        }
        setBroken(false)
        await add(1)
        expect(spool.problem).toBeUndefined()
        await send(spool, billing, 10_000, () => true)
        expect(billing.requests).toBe(counted)
        expect(spool.size).toBe(0)
        // What could not be removed is sent again.
        await send(new TrafficSpool("e", own), billing, 10_000, () => true)
        expect(billing.requests).toBe(counted)
        expect(readdirSync(own)).toEqual([])
      }),
      { numRuns: 15 }
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

  it("A11: is in memory while the disk does not take it, and on the disk as soon as that does", async () => {
    const own = join(folder, "file", "traffic")
    writeFileSync(join(folder, "file"), "")
    const spool = new TrafficSpool("e", own)
    expect(spool.problem).toMatch(/ENOTDIR/)
    await spool.add({ at: minute(1), rows: [row("c", 3)] })
    expect(spool.problem).toMatch(/ENOTDIR/)
    expect(requestsIn(spool.next()!.rows)).toBe(3)
    rmSync(join(folder, "file"))
    await spool.add({ at: minute(2), rows: [row("c", 4)] })
    expect(spool.problem).toBeUndefined()
    expect(await survivors(own)).toBe(7)
  })

  it("has a problem until the last of it is written", async () => {
    const spool = new TrafficSpool("e", folder)
    for (let n = 1; n < 5; n++) await spool.add({ at: minute(n), rows: [row("c", 1)] })
    const fifth = placeOf(folder, 5)
    mkdirSync(fifth)
    for (let n = 5; n < 8; n++) {
      await spool.add({ at: minute(n), rows: [row("c", 1)] })
      expect(spool.problem).toMatch(/EISDIR/)
    }
    rmSync(fifth, { recursive: true })
    await spool.add({ at: minute(8), rows: [row("c", 1)] })
    expect(spool.problem).toBeUndefined()
    expect(await survivors(folder)).toBe(8)
  })

  it("stays where it is when the disk does not take its sums", async () => {
    const spool = new TrafficSpool("e", folder)
    for (let n = 0; n < maxBatches; n++) await spool.add({ at: minute(n), rows: [row("c", 1)] })
    const sums = placeOf(folder, maxBatches + 2)
    mkdirSync(sums)
    await spool.add({ at: minute(maxBatches), rows: [row("c", 1)] })
    expect(spool.size).toBe(maxBatches + 1)
    rmSync(sums, { recursive: true })
    await spool.add({ at: minute(maxBatches + 1), rows: [row("c", 1)] })
    expect(spool.size).toBeLessThan(maxBatches / 2)
    expect(await survivors(folder)).toBe(maxBatches + 2)
  })

  it("stays bounded through an outage of weeks on a full disk, which keeps what it has", async () => {
    const own = join(folder, "own")
    const spool = new TrafficSpool("e", own)
    let most = 0
    const add = async (n: number) => {
      await spool.add({ at: minute(n * 20), rows: [row("a", 1), row(`b${n % 5}`, 2)] })
      most = Math.max(most, spool.size)
    }
    for (let n = 0; n < 100; n++) await add(n)
    away(own)
    for (let n = 100; n < 2_000; n++) await add(n)
    expect(spool.problem).toMatch(/ENOTDIR|EEXIST/)
    expect(most).toBeLessThanOrEqual(2 * maxBatches)
    back(own)
    expect(await survivors(own)).toBe(3 * 100)
  })

  it("is written after it was refused for weeks", async () => {
    const own = join(folder, "own")
    const spool = new TrafficSpool("e", own)
    away(own)
    for (let n = 0; n < 300; n++) await spool.add({ at: minute(n), rows: [row("c", 1)] })
    back(own)
    await spool.add({ at: minute(300), rows: [row("c", 1)] })
    expect(spool.problem).toBeUndefined()
    expect(await survivors(own)).toBe(301)
  })

  it("of an earlier boot is taken whole or not yet: sums that can't be read may replace what can", async () => {
    const earlier = new TrafficSpool("e", folder)
    for (let n = 0; n <= maxBatches; n++) await earlier.add({ at: minute(n), rows: [row("c", 1)] })
    await earlier.add({ at: minute(999), rows: [row("c", 1)] })
    const [sums] = readdirSync(folder).sort()
    const hidden = join(folder, "..", `${sums}.hidden`)
    renameSync(join(folder, sums!), hidden)
    mkdirSync(join(folder, sums!))
    const spool = new TrafficSpool("e", folder)
    expect([spool.size, spool.problem]).toEqual([0, expect.stringMatching(/EISDIR/)])
    rmSync(join(folder, sums!), { recursive: true })
    renameSync(hidden, join(folder, sums!))
    await spool.add({ at: minute(1000), rows: [row("c", 1)] })
    expect(spool.problem).toBeUndefined()
    const billing = new Billing()
    await send(spool, billing, 100, () => true)
    expect(billing.requests).toBe(maxBatches + 3)
  })

  it("comes in the order of its numbers when two write at once", async () => {
    const spool = new TrafficSpool("e", folder)
    const many = Array.from({ length: 20 * maxRows }, (_, n) => row(`c${n}`, 1))
    await Promise.all([spool.add({ at: minute(1), rows: many }), spool.add({ at: minute(1), rows: [row("last", 1)] })])
    const billing = new Billing()
    await send(spool, billing, 100, () => true)
    expect(billing.requests).toBe(many.length + 1)
  })
})
