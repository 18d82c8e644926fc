import { Writable } from "node:stream"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { outliveReader } from "@connect-domain/telemetry/standardOutput.ts"
import { describe, expect, it, vi } from "vitest"
import { largeBytes } from "../bufferPool.ts"
import { isRefusal } from "../http1/Refusal.ts"
import { readRequestHead } from "../http1/requestHead.ts"
import { requestIdOf } from "../testing/requestIdOf.ts"
import { AccessLog } from "./AccessLog.ts"
import type { RequestRecord } from "./RequestRecord.ts"

const record: RequestRecord = {
  ...{ requestId: requestIdOf("r"), protocol: "h2", method: "GET", host: "a.test", path: "/" },
  peer: { scheme: "https", address: "192.0.2.1", serverName: "b.test" },
  ...{ status: 200, code: "", connectionId: "c", tenantId: "t", bytesIn: 0, bytesOut: 0, millis: 1, originMillis: 0.25, tunnel: false }
}
const failingWith = (code: string) => {
  const out = new Writable({ write: (_piece, _encoding, done) => done(Object.assign(new Error(code), { code })) })
  outliveReader(out)
  return out
}
const later = () => new Promise((resolve) => setImmediate(resolve))

/** What is written of these records. */
const written = async (...records: ReadonlyArray<RequestRecord>): Promise<ReadonlyArray<Record<string, unknown>>> => {
  let text = ""
  const out = new Writable({
    write: (piece: Buffer, _encoding, done) => {
      text += piece.toString("utf8")
      done()
    }
  })
  const log = new AccessLog("full", out)
  for (const each of records) log.write(each)
  log.flush()
  await later()
  expect(text).toMatch(/^[\x20-\x7e\n]*$/)
  return text
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line))
}

describe("the access log", () => {
  it("has a line for each request", async () => {
    const from = Date.now()
    const [first, second, third] = await written(
      record,
      {
        ...record,
        peer: { ...record.peer, scheme: "http" },
        status: 503,
        code: "no-origin",
        connectionId: "",
        bytesIn: 1024,
        millis: 12.345,
        originMillis: -1
      },
      { ...record, protocol: "http/1.1", host: "", method: "", path: "", status: 400, bytesOut: 5_000_000_000, millis: 0.004 }
    )
    expect(Date.parse(String(first!.at))).toBeGreaterThanOrEqual(from)
    expect({ ...first, at: "" }).toEqual({
      ...{ at: "", kind: "access", request_id: "r", scheme: "https", client: "192.0.2.1", protocol: "h2", method: "GET", host: "a.test" },
      ...{ path: "/", status: 200, connection_id: "c", bytes_in: 0, bytes_out: 0, origin_ms: 0.25, ms: 1 }
    })
    expect(second).toMatchObject({ scheme: "http", status: 503, code: "no-origin", bytes_in: 1024, ms: 12.35 })
    expect(second).not.toHaveProperty("connection_id")
    expect(second).not.toHaveProperty("origin_ms")
    expect(third).toMatchObject({ protocol: "http/1.1", status: 400, server_name: "b.test", bytes_out: 5_000_000_000, ms: 0 })
  })

  it("says of each request how it ended, however often it ended like that before", async () => {
    const ends = [200, 404, 200, 999, 404, 200, 0].map((status, at) => ({ status, bytesIn: at === 5 ? 7 : 0, bytesOut: at * 1000 }))
    const lines = await written(...ends.map((end) => ({ ...record, ...end })))
    expect(lines.map((line) => ({ status: line.status, bytesIn: line.bytes_in, bytesOut: line.bytes_out }))).toEqual(ends)
  })

  it("says when, to the millisecond, also where the clock goes back", async () => {
    const times = [
      "2026-11-30T23:59:59.999Z",
      "2026-12-01T00:00:00.000Z",
      "2026-12-01T00:00:00.007Z",
      "2026-12-01T00:00:00.007Z",
      "2026-11-30T23:59:59.040Z"
    ]
    const now = vi.spyOn(Date, "now")
    for (const time of times) now.mockReturnValueOnce(Date.parse(time))
    const lines = await written(...times.map(() => record))
    now.mockRestore()
    expect(lines.map(({ at }) => at)).toEqual(times)
  })

  it.each(['/"', "/\\", "/\n\u0001", "/\xe9\u20ac\ud83d\ude00", `/${"a".repeat(40_000)}`, `/${'"'.repeat(3000)}`])(
    "says any path: %j",
    async (path) => {
      expect(await written(record, { ...record, path }, record)).toMatchObject([{ path: "/" }, { path }, { path: "/" }])
    }
  )

  it.each(["connection-ü", "連接", "a\u4e22b", '"'])("says any connection: %j", async (connectionId) => {
    expect(await written({ ...record, connectionId })).toMatchObject([{ connection_id: connectionId, path: "/" }])
  })

  it("E8: keeps nothing of a head with the connection that it came on", () => {
    setFlagsFromString("--expose-gc")
    const collect: () => void = runInNewContext("gc")
    const log = new AccessLog("full", new Writable({ write: (_piece, _encoding, done) => done() }))
    const peers: Array<RequestRecord["peer"]> = []
    const heapAfter = (count: number): number => {
      for (let at = 0; at < count; at++) {
        const lines = `VERSION-CONTROL / HTTP/1.1\r\nHost: shop.example.org\r\nCookie: ${"c".repeat(30_000)}${at}\r\n\r\n`
        const head = readRequestHead(Buffer.from(lines).toString("latin1"))
        if (isRefusal(head)) throw new Error(head.code)
        const peer = { ...record.peer }
        peers.push(peer)
        log.write({ ...record, peer, method: head.method, host: head.host })
      }
      collect()
      collect()
      return process.memoryUsage().heapUsed / 1024 / 1024
    }
    const before = heapAfter(1)
    expect(heapAfter(1000) - before).toBeLessThan(10) // MiB; with the heads it would be 29
  })

  it("leaves out a line that is larger than all that it holds, and says so", async () => {
    const log = new AccessLog("full", new Writable({ write: (_piece, _encoding, done) => done() }))
    log.write({ ...record, path: `/${"a".repeat(largeBytes)}` })
    log.write(record)
    expect(log.lost).toBe(1)
  })

  it("counts what its reader did not take, and what is not written because he is gone", async () => {
    const log = new AccessLog("full", failingWith("EPIPE"))
    for (let at = 0; at < 3; at++) log.write(record)
    log.flush()
    await later()
    expect(log.lost).toBe(3)
    log.write(record)
    expect(log.lost).toBe(4)
  })
})
