/** Clients that ask and don't read, or read slowly: what the edge keeps for them is bounded, and what it has promised comes. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest"
import type { RequestRecord } from "../observe/RequestRecord.ts"
import { headers, RawHttp2, unreadBytes } from "../testing/RawHttp2.ts"
import { ok, RawOrigin } from "../testing/RawOrigin.ts"
import { TestEdge } from "../testing/TestEdge.ts"
import { Setting, windowFrame } from "./frames.ts"

const host = "shop.example.org"
const mebibyte = 1024 * 1024
let origin: RawOrigin
let edge: TestEdge
let records: Array<RequestRecord>
const sleep = (millis: number) => new Promise((resolve) => setTimeout(resolve, millis))

beforeAll(async () => {
  const bare = `HTTP/1.1 200 OK\r\nX-Large: ${"x".repeat(28_000)}\r\nContent-Length: 5\r\n\r\n`
  origin = await RawOrigin.start((socket, piece) => void socket.write(piece.startsWith("HEAD") ? bare : ok("y".repeat(8 * mebibyte))))
})
afterAll(() => origin.stop())
const begin = async (drainMillis: number): Promise<void> => {
  edge = await TestEdge.start({ limits: { drainMillis } })
  await edge.add(host, origin.url)
  records = []
  edge.router.metrics.onRecord = (record) => records.push(record)
}
afterEach(() => edge.stop(0))

const head = (stream: number, method = "HEAD") => headers(stream, [":method", method, ":scheme", "https", ":authority", host, ":path", "/"])
const perRound = 100

/** Asks for answers without a body and reads none, until the edge takes no more requests; returns how many were sent, and the most that waited. */
const flood = async (client: RawHttp2, rounds: number): Promise<{ readonly sent: number; readonly peak: number }> => {
  client.socket.pause()
  let [sent, peak] = [0, 0]
  for (let round = 0; round < rounds && records.length === sent; round++) {
    for (let at = 0; at < perRound; at++) client.send(head(2 * sent++ + 1))
    const before = records.length
    for (let waited = 0; waited < 3000 && records.length < before + perRound; waited += 10) await sleep(10)
    peak = Math.max(peak, unreadBytes(edge))
  }
  return { sent, peak }
}

describe("answers without a body to a client that doesn't read", () => {
  it("are bounded, since nothing more is read from it; in the end it is cut off", async () => {
    await begin(2000)
    const client = await RawHttp2.open(edge, host)
    await client.settled()
    const { sent, peak } = await flood(client, 15)
    expect(peak).toBeGreaterThan(mebibyte)
    // One MiB, and what was asked for before that was reached: 100 answers of 28 KB.
    expect(peak).toBeLessThan(5 * mebibyte)
    expect(records.length).toBeLessThan(sent)
    while (edge.router.listeners.open > 0) await sleep(10)
    expect(edge.router.metrics.samples().find(({ name }) => name === "edge_http2_errors_total")).toMatchObject({
      labels: { code: "ENHANCE_YOUR_CALM" },
      value: 1
    })
  })

  it("come all the same when it reads after all, and so do the answers to what was not read in the meantime", async () => {
    await begin(120_000)
    const client = await RawHttp2.open(edge, host)
    await client.settled()
    const { sent } = await flood(client, 15)
    client.socket.resume()
    await client.until(() => client.ended.size === sent)
    expect([client.resets, client.goaways]).toEqual([[], []])
    client.close()
  })

  it("E14: come whole when the edge ends in the meantime", async () => {
    await begin(120_000)
    const client = await RawHttp2.open(edge, host)
    await client.settled()
    client.socket.pause()
    let sent = 0
    while (unreadBytes(edge) < 300_000) {
      client.send(head(2 * sent++ + 1))
      while (records.length < sent) await sleep(1)
    }
    const stopped = edge.stop(60_000)
    await sleep(3000) // longer than a client is waited for that has everything
    client.socket.resume()
    await client.until(() => client.closed)
    expect([client.ended.size, client.goaways]).toEqual([sent, [0, 0]])
    await stopped
  })
})

it("a client whose windows are wide open and that doesn't read is cut off, and its request is told from one that was given up", async () => {
  await begin(2000)
  const client = await RawHttp2.open(edge, host, [[Setting.InitialWindowSize, 16 * mebibyte]])
  await client.settled()
  client.socket.pause()
  client.send(windowFrame(0, 16 * mebibyte) + head(1, "GET"))
  while (records.length === 0) await sleep(10)
  expect(records).toMatchObject([{ status: 200, code: "client-too-slow" }])
  while (edge.router.pool.size.busy > 0 || edge.router.listeners.open > 0) await sleep(10)
})
