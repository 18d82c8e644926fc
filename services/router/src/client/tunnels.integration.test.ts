/** Tunnels (WebSocket) of both versions of HTTP: what passes is counted as it passes, logged once, and nothing of a tunnel stays behind. */
import { type ClientHttp2Session, connect as connectHttp2 } from "node:http2"
import type { Duplex } from "node:stream"
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest"
import type { RequestRecord } from "../observe/RequestRecord.ts"
import { RawOrigin } from "../testing/RawOrigin.ts"
import { readUntil, TestEdge } from "../testing/TestEdge.ts"
import { TrafficCounters } from "../traffic/TrafficCounters.ts"

const host = "shop.example.org"
const upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n"
const switched = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello"
const until = async (done: () => boolean) => {
  while (!done()) await new Promise((resolve) => setTimeout(resolve, 5))
}

/** Echoes what it gets inside a tunnel, behind a `hello`; ends when told `bye`. */
let origin: RawOrigin
let requested: Array<RequestRecord> = []
let closed: Array<RequestRecord> = []
let counters = new TrafficCounters()

const observed = async (http2: "own" | "node" = "own", tunnelMillis = 60_000): Promise<TestEdge> => {
  const edge = await TestEdge.start({ http2, limits: { tunnelMillis } })
  await edge.add(host, origin.url)
  const { metrics } = edge.router
  metrics.onRecord = (record) => {
    requested.push(record)
    counters.count(record)
  }
  metrics.onTunnelMoved = (...moved) => void counters.add(...moved)
  metrics.onTunnelClosed = (record) => void closed.push(record)
  return edge
}

/** A client in a tunnel, with what it heard. */
interface Opened {
  readonly stream: Duplex
  readonly heard: () => string
  readonly session?: ClientHttp2Session
}
const listening = (stream: Duplex, before = ""): Opened => {
  let text = before
  stream.on("data", (piece) => {
    text += piece
  })
  stream.on("error", () => {})
  return { stream, heard: () => text }
}
const openHttp1 = async (edge: TestEdge): Promise<Opened> => {
  const socket = await edge.connect(host)
  socket.write(`GET /socket HTTP/1.1\r\nHost: ${host}\r\n${upgrade}\r\n`)
  const text = await readUntil(socket, (all) => all.endsWith("hello"))
  return listening(socket, text.slice(-5))
}
const openHttp2 = async (edge: TestEdge): Promise<Opened> => {
  const session = connectHttp2(`https://127.0.0.1:${edge.https}`, { servername: host, ca: edge.authority.pem })
  await new Promise((resolve) => session.once("remoteSettings", resolve))
  const stream = session.request({ ":method": "CONNECT", ":protocol": "websocket", ":path": "/socket", ":authority": host })
  const opened = { ...listening(stream), session }
  await until(() => opened.heard() === "hello")
  return opened
}
const kinds = [
  ["HTTP/1.1", "own", openHttp1],
  ["HTTP/2, own codec", "own", openHttp2],
  ["HTTP/2, node codec", "node", openHttp2]
] as const

beforeAll(async () => {
  origin = await RawOrigin.start((socket, piece) => {
    if (piece.includes("Upgrade: websocket")) socket.write(switched)
    else if (piece === "bye") socket.end()
    else socket.write(piece, "latin1")
  })
})
beforeEach(() => {
  requested = []
  closed = []
  counters = new TrafficCounters()
})
afterAll(() => origin.stop())

describe("tunnels", () => {
  it.each(kinds)(
    "over %s: bytes are in the traffic while it lasts, the request once, the log's record at its end",
    async (_, http2, open) => {
      const edge = await observed(http2)
      const { metrics } = edge.router
      const { stream, heard, session } = await open(edge)
      const bytes = () =>
        counters.take().map(({ bytes_in, bytes_out, statuses }) => ({ bytes_in, bytes_out, requests: statuses.reduce((a, b) => a + b) }))
      await until(() => metrics.tunnels === 1)
      expect(bytes()).toEqual([{ bytes_in: 0, bytes_out: 5, requests: 1 }])
      for (const piece of ["first", "second"]) {
        stream.write(piece)
        await until(() => heard().endsWith(piece))
        expect(bytes()).toEqual([{ bytes_in: piece.length, bytes_out: piece.length, requests: 0 }])
      }
      expect([requested.length, requested[0]!.tunnel, closed.length, metrics.inFlight]).toEqual([1, true, 0, 0])
      stream.end()
      await until(() => closed.length > 0)
      session?.close()
      await edge.stop()
      expect(closed).toHaveLength(1)
      expect(closed[0]).toMatchObject({ requestId: requested[0]!.requestId, bytesIn: 11, bytesOut: 16, tunnel: false, path: "/socket" })
      expect(closed[0]!.status).toBe(http2 === "own" && open === openHttp1 ? 101 : 200)
      expect([metrics.tunnels, edge.router.gate.load.inFlight, bytes()]).toEqual([0, 0, []])
    }
  )

  it.each(kinds)(
    "over %s: end for both when the origin ends, when the client breaks off, when nothing moves, and when the edge goes",
    async (_, http2, open) => {
      const edge = await observed(http2, 1500)
      const { metrics } = edge.router
      const ended = async (opened: Opened) => {
        if (!opened.stream.closed) await new Promise((resolve) => opened.stream.once("close", resolve))
        opened.session?.close()
      }
      const first = await open(edge)
      first.stream.write("bye")
      await ended(first)
      const second = await open(edge)
      second.stream.destroy()
      second.session?.destroy()
      await until(() => closed.length === 2 && edge.router.gate.load.inFlight === 0)
      const idle = await open(edge)
      await ended(idle)
      const last = await open(edge)
      await edge.stop(0)
      // Told before the edge is gone, so that the log and the traffic have it.
      expect([closed.length, metrics.tunnels]).toEqual([4, 0])
      await ended(last)
      await until(() => edge.router.gate.load.inFlight === 0)
    }
  )
})
