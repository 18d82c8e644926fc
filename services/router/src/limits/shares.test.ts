/** E8: overload: fair shares, hysteresis, and that quiet hostnames are not refused. */
import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import { Gate, openGate } from "./Gate.ts"
import { Overload } from "./Overload.ts"
import { fairLevels, waterLevel } from "./waterLevel.ts"

const wants = fc.array(fc.nat(1000), { minLength: 1, maxLength: 30 })

describe("E8: fair shares", () => {
  it("give out all there is and no more, and never less to one than an equal share or what it wants", () => {
    fc.assert(
      fc.property(wants, fc.integer({ min: 1, max: 20_000 }), (all, capacity) => {
        const level = waterLevel(all, capacity)
        const given = all.map((want) => Math.min(want, level))
        const sum = given.reduce((total, one) => total + one, 0)
        const wanted = all.reduce((total, one) => total + one, 0)
        expect(sum).toBeLessThanOrEqual(capacity + 1e-6)
        expect(sum).toBeGreaterThanOrEqual(Math.min(wanted, capacity) - 1e-6)
        for (const [at, want] of all.entries()) expect(given[at]! + 1e-9).toBeGreaterThanOrEqual(Math.min(want, capacity / all.length))
      })
    )
  })

  it("are per tenant first: many names gain a tenant nothing, and a tenant's quiet name keeps its part", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 200 }), fc.integer({ min: 1, max: 10 }), (names, quiet) => {
        const flood = Array.from({ length: names }, () => ({ tenant: "loud", want: 10_000 }))
        const levels = fairLevels([...flood, { tenant: "loud", want: 1 }, { tenant: "other", want: quiet }], 1000)
        const taken = flood.reduce((sum, { want }, at) => sum + Math.min(want, levels[at]!), 0)
        expect(taken).toBeLessThanOrEqual(1000 - quiet)
        expect(levels.at(-1)).toBe(Number.POSITIVE_INFINITY)
        expect(levels.at(-2)!).toBeGreaterThanOrEqual(1)
      })
    )
  })
})

const sample = { busy: 1, elapsed: 50, wanted: 1500, served: 1500 }

describe("E8: when to shed", () => {
  it("not for one pause however long, not for lateness that is a neighbour's, not when switched off", () => {
    const watch = new Overload({ lateMillis: 100 })
    expect(watch.tick({ ...sample, late: 60_000 })).toBe(false)
    for (let n = 0; n < 100; n++) expect(watch.tick({ ...sample, late: 2 })).toBe(false)
    for (let n = 0; n < 100; n++) expect(watch.tick({ ...sample, late: 500, busy: 0.1 })).toBe(false)
    const off = new Overload({ lateMillis: 0 })
    for (let n = 0; n < 100; n++) expect(off.tick({ ...sample, late: 5000 })).toBe(false)
  })

  it("begins within a second of real overload, takes on less while it lasts, and ends only after a calm second", () => {
    const watch = new Overload({ lateMillis: 100 })
    let ticks = 0
    while (!watch.tick({ ...sample, late: 250 })) ticks++
    expect(ticks).toBeLessThan(20)
    const first = watch.capacity
    expect(first).toBeLessThan(sample.served / sample.elapsed)
    for (let n = 0; n < 5; n++) watch.tick({ ...sample, late: 250 })
    expect(watch.capacity).toBeLessThan(first)
    // Work is still refused: calm or not, it goes on shedding while it slowly takes on more.
    for (let n = 0; n < 30; n++) expect(watch.tick({ ...sample, late: 5 })).toBe(true)
    ticks = 0
    while (watch.tick({ ...sample, late: 5 })) expect(++ticks).toBeLessThan(200)
    expect(watch.capacity).toBeGreaterThanOrEqual(sample.wanted / sample.elapsed)
  })

  it("never goes on for ever once the load is gone, whatever came before", () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ late: fc.nat(1000), wanted: fc.nat(5000), served: fc.nat(5000) }), { maxLength: 300 }),
        (samples) => {
          const watch = new Overload({ lateMillis: 100 })
          for (const one of samples) watch.tick({ busy: 1, elapsed: 50, ...one })
          for (let n = 0; n < 60; n++) watch.tick({ busy: 0, elapsed: 50, late: 0, wanted: 0, served: 0 })
          expect(watch.shedding).toBe(false)
        }
      )
    )
  })
})

const entry = (name: string, tenant: string, limits?: object) =>
  ({ connection_id: name, tenant_id: tenant, hostname: name, flags: limits === undefined ? {} : { limits } }) as never
const client = { address: "192.0.2.1" }

describe("E8: the gate", () => {
  it("in overload refuses the flood, and of the quiet names nothing", () => {
    const gate = new Gate({ ...openGate, lateMillis: 100 }, () => 0)
    const loud = entry("loud", "a")
    const quiet = ["b", "c", "d"].map((name) => entry(name, name))
    const late = { elapsed: 60, late: 250, busy: 1 }
    let [loudServed, quietRefused] = [0, 0]
    for (let tick = 0; tick < 200; tick++) {
      loudServed = 0
      for (let n = 0; n < 2000; n++) if (gate.request(loud, client) === undefined) loudServed++
      for (const one of quiet) if (tick % 3 === 0 && gate.request(one, client) !== undefined) quietRefused++
      gate.load.tick(late)
    }
    expect(gate.load.overload.shedding).toBe(true)
    expect(loudServed).toBeLessThan(100)
    expect(quietRefused).toBe(0)
    for (let tick = 0; tick < 100; tick++) gate.load.tick({ elapsed: 50, late: 0, busy: 0 })
    expect(gate.request(loud, client)).toBeUndefined()
  })

  it("sheds handshakes of the flooded name, not of another", () => {
    const gate = new Gate({ ...openGate, lateMillis: 100 }, () => 0)
    let refused = 0
    for (let tick = 0; tick < 100; tick++) {
      for (let n = 0; n < 100; n++) if (gate.handshake(entry("loud", "a")) === undefined) refused++
      if (tick % 10 === 0) expect(gate.handshake(entry("quiet", "b"))).toBeDefined()
      gate.load.tick({ elapsed: 100, late: 250, busy: 1 })
    }
    expect(refused).toBeGreaterThan(5000)
  })

  it("shares out open requests once there are too many, and lets a quiet name have its own", () => {
    const gate = new Gate({ ...openGate, maxRequests: 100 }, () => 0)
    const [loud, quiet] = [entry("loud", "a"), entry("quiet", "b")]
    for (let n = 0; n < 110; n++) if (gate.request(loud, client) === undefined) gate.useOf(loud).entered()
    gate.load.tick({ elapsed: 50, late: 0, busy: 0 })
    expect(gate.request(loud, client)).toMatchObject({ status: 503, code: "crowded" })
    expect(gate.request(quiet, client)).toBeUndefined()
    for (let n = 0; n < 60; n++) gate.useOf(loud).left()
    gate.load.tick({ elapsed: 50, late: 0, busy: 0 })
    expect(gate.request(loud, client)).toBeUndefined()
  })

  it("applies a hostname's limits, and their change, and charges nothing for what is refused", () => {
    let now = 0
    const gate = new Gate(openGate, () => now)
    const limits = { requests_per_second: 1, burst: 3, requests_per_second_per_ip: 1, burst_per_ip: 2 }
    const limited = entry("limited", "a", limits)
    expect([1, 2].map(() => gate.request(limited, client))).toEqual([undefined, undefined])
    expect(gate.request(limited, client)).toEqual({ status: 429, code: "hostname-client-rate", seconds: 1, afterMillis: 0 })
    expect(gate.request(limited, { address: "192.0.2.2" })).toBeUndefined()
    expect(gate.request(limited, { address: "192.0.2.3" })).toMatchObject({ status: 429, code: "hostname-rate" })
    now = 1_000_000
    expect(gate.request(limited, client)).toBeUndefined()
    expect(gate.request(entry("limited", "a"), client)).toBeUndefined()
    expect(gate.refusals).toEqual(
      new Map([
        ["hostname-client-rate", 1],
        ["hostname-rate", 1]
      ])
    )
  })

  it("remembers no hostname that is asked for no more", () => {
    let now = 0
    const gate = new Gate(openGate, () => now)
    for (let n = 0; n < 1000; n++) gate.request(entry(`h${n}`, "a", { requests_per_second: 1 }), client)
    const open = gate.useOf(entry("h1", "a"))
    open.entered()
    now = 5_000_000
    for (let tick = 0; tick < 1300; tick++) gate.load.tick({ elapsed: 50, late: 0, busy: 0 })
    expect(gate.size).toBe(1)
  })

  it("of one of several processes has its part of a hostname's limits, rounded up, and all of a client's", () => {
    const defaults = { ...openGate.defaults, processes: 4 }
    const gate = new Gate({ ...openGate, defaults, hostnameRequests: 6 }, () => 0)
    const limits = { requests_per_second: 100, burst: 10, requests_per_second_per_ip: 100, burst_per_ip: 2, connections: 5 }
    const shop = entry("shop", "a", limits)
    const asked = (address: string) => gate.request(shop, { address })?.code
    const refusals = ["192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.3"].map(asked)
    expect(refusals).toEqual([undefined, undefined, "hostname-client-rate", undefined, "hostname-rate"])
    expect([1, 2, 3].map(() => gate.handshake(shop) === undefined)).toEqual([false, false, true])
    const other = entry("other", "a")
    for (let n = 0; n < 2; n++) gate.useOf(other).entered()
    expect(gate.request(other, client)?.code).toBe("hostname-busy")
  })
})
