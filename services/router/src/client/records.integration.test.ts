/** What an operator reads of clients that are cut off, and of messages that could not be read. */
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import type { RequestRecord } from "../observe/RequestRecord.ts"
import { ok, RawOrigin } from "../testing/RawOrigin.ts"
import { readAll, TestEdge } from "../testing/TestEdge.ts"

const host = "shop.example.org"
let edge: TestEdge
let origin: RawOrigin

beforeAll(async () => {
  edge = await TestEdge.start({ limits: { headMillis: 500, bodyMillis: 500, drainMillis: 1000 } })
  origin = await RawOrigin.start((socket, piece) => {
    if (piece.includes("/large")) socket.write(ok("m".repeat(32 * 1024 * 1024)))
    else if (piece.includes("/early")) socket.write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe")
  })
  await edge.add(host, origin.url)
})

afterAll(async () => {
  await edge.stop()
  await origin.stop()
})

/** The record of a client that sends this and no more, and reads or doesn't. */
const recordOfClient = async (bytes: string, reads = true): Promise<RequestRecord> => {
  const done = new Promise<RequestRecord>((resolve) => {
    edge.router.metrics.onRecord = resolve
  })
  const socket = await edge.connect(host.toUpperCase())
  if (reads) void readAll(socket)
  else socket.on("error", () => {}).pause()
  socket.write(bytes)
  const record = await done
  socket.destroy()
  return record
}

describe("records", () => {
  it("have ids that come once, of one form, however many were given", () => {
    const { edge: inside } = edge.router as unknown as { edge: { newRequestId(): unknown } }
    const ids = Array.from({ length: 36 ** 2 * 3 }, () => String(inside.newRequestId()))
    expect(new Set(ids).size).toBe(ids.length)
    const [prefix] = ids[0]!.split("-")
    for (const id of ids) expect(id).toMatch(new RegExp(`^${prefix}-[0-9a-z]{2,3}$`))
    expect(prefix).toMatch(/^[0-9a-f]{12}$/)
  })

  it("E8: a reader that was too slow, a sender that was too slow, and one that left are told apart", async () => {
    const slow = await recordOfClient(`GET /large HTTP/1.1\r\nHost: ${host}\r\n\r\n`, false)
    expect(slow).toMatchObject({ status: 200, code: "client-too-slow", host })
    const body = await recordOfClient(`POST /late HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 5\r\n\r\nhe`)
    expect(body).toMatchObject({ status: 408, code: "body-too-slow", host })
    const early = await recordOfClient(`POST /early HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 5\r\n\r\nhe`)
    expect(early).toMatchObject({ status: 200, code: "body-too-slow", host })
    const socket = await edge.connect(host)
    const left = new Promise((resolve) => {
      edge.router.metrics.onRecord = resolve
    })
    socket.write(`GET /silent HTTP/1.1\r\nHost: ${host}\r\n\r\n`, () => socket.destroy())
    expect(await left).toMatchObject({ status: 0, code: "client-gone", host })
  })

  it("a message that could not be read, or not to its end, has the name of its connection and nothing of its own", async () => {
    const nothing = { method: "", host: "", path: "", peer: { serverName: host } }
    const twice = await recordOfClient(`GET /secret HTTP/1.1\r\nHost: other.example.org\r\nHost: ${host}\r\n\r\n`)
    expect(twice).toMatchObject({ ...nothing, status: 400, code: "host-twice" })
    expect(await recordOfClient("GET /secret HTTP/1.1\r\nHos")).toMatchObject({ ...nothing, status: 408, code: "head-too-slow" })
  })
})
