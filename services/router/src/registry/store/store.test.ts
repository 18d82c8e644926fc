/** The compact store beside a plain Map: the same answers, whatever was put, replaced, removed, moved. */
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { HashIndex } from "./HashIndex.ts"
import { Reference } from "./likeness.ts"
import { Packer, Unpacker } from "./Packer.ts"
import { RecordStore } from "./RecordStore.ts"

const step = fc.record({
  key: fc.nat(300).map((at) => `key-${at}.example.org`),
  what: fc.constantFrom("put", "put", "put", "remove", "mark"),
  size: fc.oneof(fc.nat(40), fc.nat(20_000), fc.constant(3_000_000)),
  byte: fc.nat(255)
})

describe("E15: records in pages", () => {
  it("holds what a Map holds, through replacement, removal and emptied pages", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const store = new RecordStore()
        const oracle = new Map<string, { value: Buffer; tag: number; mark: number }>()
        for (const { key, what, size, byte } of steps) {
          if (what === "remove") expect(store.remove(key)).toBe(oracle.delete(key))
          else if (what === "put") {
            const value = Buffer.alloc(size, byte)
            store.put(key, value, byte)
            oracle.set(key, { value, tag: byte, mark: oracle.get(key)?.mark ?? 0 })
          } else if (oracle.has(key)) {
            store.setMark(store.find(key), size)
            oracle.get(key)!.mark = size
          }
          if (byte < 40) store.emptyOne()
        }
        expect(store.size).toBe(oracle.size)
        for (const [key, { value, tag, mark }] of oracle) {
          const ref = store.find(key)
          expect(store.keyOf(ref)).toBe(key)
          expect(store.equals(ref, value, tag)).toBe(true)
          expect(store.markOf(ref)).toBe(mark)
        }
        const seen: Array<string> = []
        for (let place = 0, first = true; first || place !== 0; first = false)
          place = store.pages.visit(place, (ref) => seen.push(store.keyOf(ref)))
        expect(seen.sort()).toEqual([...oracle.keys()].sort())
      }),
      { numRuns: 60 }
    )
  })

  it("gives memory back when values are replaced again and again", () => {
    const store = new RecordStore()
    for (let round = 0; round < 40; round++) {
      for (let at = 0; at < 2000; at++) store.put(`k${at}`, Buffer.alloc(1000, round), 1)
      while (store.pages.worthEmptying) store.emptyOne()
    }
    expect(store.pages.bytes).toBeLessThan(10 * 1024 * 1024)
    for (let at = 0; at < 2000; at++) expect(store.equals(store.find(`k${at}`), Buffer.alloc(1000, 39), 1)).toBe(true)
  })

  it("moves nothing while it is pinned", () => {
    const store = new RecordStore()
    for (let at = 0; at < 20_000; at++) store.put(`k${at % 10 === 0 ? at : at % 100}`, Buffer.alloc(1000), 1)
    expect(store.pages.worthEmptying).toBe(true)
    const places = () => Array.from({ length: 2000 }, (_, at) => store.find(`k${at * 10}`))
    const before = places()
    store.pages.pins++
    expect(store.pages.worthEmptying).toBe(false)
    for (let times = 0; times < 20; times++) store.emptyOne()
    expect(places()).toEqual(before)
    store.pages.pins--
    for (let times = 0; times < 20; times++) store.emptyOne()
    expect(places()).not.toEqual(before)
  })
})

describe("E15: the index", () => {
  it("finds each of many keys, also of those that share a hash, after any removals", () => {
    const names = new Map<number, string>()
    const index = new HashIndex((ref, key) => names.get(ref) === key)
    // Hashes that agree in 24 bits: segments that can't be split apart must grow.
    const hashOf = (at: number) => (at % 3 === 0 ? (0xabcd_ef00 | (at & 7)) >>> 0 : Math.imul(at, 0x9e37_79b1) >>> 0)
    const many = 40_000
    for (let at = 1; at <= many; at++) {
      names.set(at, `n${at}`)
      index.insert(hashOf(at), at)
    }
    for (let at = 1; at <= many; at += 2) index.remove(hashOf(at), at)
    const wrong: Array<number> = []
    for (let at = 1; at <= many; at++) if (index.find(hashOf(at), `n${at}`) !== (at % 2 === 1 ? 0 : at)) wrong.push(at)
    expect(wrong).toEqual([])
  }, 60_000)
})

describe("a certificate told by its differences", () => {
  it("comes back byte for byte, whatever both are", () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 2000 }),
      fc
        .array(fc.constantFrom("issuer Example CA ", "subject ", "\0\0\0\0\0\0\0\0", "xyz"), { maxLength: 90 })
        .map((parts) => Buffer.from(parts.join("")))
    )
    fc.assert(
      fc.property(bytes, bytes, (one, other) => {
        const [reference, target] = [Buffer.from(one), Buffer.from(other)]
        const coder = new Reference(reference)
        expect(coder.decode(coder.encode(target), target.length).equals(target)).toBe(true)
      }),
      { numRuns: 2000 }
    )
  })

  it("takes little for what is alike", () => {
    const leaf = (serial: string) => Buffer.from(`${"issuer".repeat(50)}${serial}${"extensions".repeat(40)}`)
    expect(new Reference(leaf("abcdef123456")).encode(leaf("fedcba654321")).length).toBeLessThan(40)
  })
})

describe("packed fields", () => {
  it("come back character by character", () => {
    const text = fc.oneof(
      fc.string({ unit: "binary", maxLength: 300 }),
      fc.uuid(),
      fc.uuid().map((id) => id.toUpperCase()),
      fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
      fc.constantFrom(
        "",
        "2026-13-01T00:00:00.000Z",
        "2026-02-30T00:00:00.000Z",
        "00ff00ff",
        "00FF00FF",
        "00Ff00fF",
        "v1.a.b.c",
        "v1.k.AAAA.__-_"
      ),
      fc.string({ unit: "binary-ascii", maxLength: 300 }),
      fc.base64String().map((each) => `v1.key.${Buffer.from(each, "base64").toString("base64url")}.${each}`)
    )
    fc.assert(
      fc.property(fc.array(fc.option(text), { maxLength: 8 }), text, fc.nat(), (texts, sealed, count) => {
        const packer = new Packer()
        for (const each of texts) packer.text(each)
        packer.sealed(sealed)
        packer.count(count)
        packer.count(Number.MAX_SAFE_INTEGER)
        const packed = Buffer.from(packer.take())
        const from = new Unpacker(packed)
        // A lone surrogate has no UTF-8 form and is no text that JSON over NATS could carry.
        expect(texts.map(() => from.text())).toEqual(texts.map((each) => each?.toWellFormed() ?? each))
        const skipped = new Unpacker(Buffer.from(packed))
        for (const _ of [...texts, sealed]) skipped.passOver()
        expect(skipped.count()).toBe(count)
        expect(from.text()).toBe(sealed.toWellFormed())
        expect(from.count()).toBe(count)
        expect(from.count()).toBe(Number.MAX_SAFE_INTEGER)
      }),
      { numRuns: 2000 }
    )
  })
})
