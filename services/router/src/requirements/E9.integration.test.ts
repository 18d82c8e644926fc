/** E9: what an attack over HTTP/2 takes is given back: streams, sockets, origin connections and memory. Each kind ends with GOAWAY in `codec.integration.test.ts`. */
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { Flag, FrameType, frameHeader, preface, settingsFrame, uint32, windowFrame } from "../http2/frames.ts"
import { encodeFields } from "../testing/encodeFields.ts"
import { RawHttp2, unreadBytes } from "../testing/RawHttp2.ts"
import { RawOrigin } from "../testing/RawOrigin.ts"
import { TestEdge } from "../testing/TestEdge.ts"

const host = "shop.example.org"
let edge: TestEdge
let origin: RawOrigin
setFlagsFromString("--expose-gc")
const collect = runInNewContext("gc") as () => void

beforeAll(async () => {
  const large = Buffer.alloc(300_000, 120)
  const bare = `HTTP/1.1 200 OK\r\nX-Large: ${"x".repeat(28_000)}\r\nContent-Length: 5\r\n\r\n`
  origin = await RawOrigin.start((socket, piece, connection) => {
    origin.received[connection] = ""
    if (piece.startsWith("HEAD")) return void socket.write(bare)
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${large.length}\r\n\r\n`)
    socket.write(large)
  })
  const limits = { headMillis: 500, bodyMillis: 500, drainMillis: 500, idleMillis: 500 }
  edge = await TestEdge.start({ limits, pool: { keepMillis: 500 } })
  await edge.add(host, origin.url)
})

afterAll(async () => {
  await edge.stop()
  await origin.stop()
})

const fields = [":method", "GET", ":scheme", "https", ":authority", host, ":path", "/"]
const frame = (type: number, flags: number, stream: number, payload = "") => frameHeader(payload.length, type, flags, stream) + payload
const whole = Flag.EndStream | Flag.EndHeaders
const request = (stream: number, flags: number = whole) => frame(FrameType.Headers, flags, stream, encodeFields(fields))
const bare = (stream: number, authority = host) =>
  frame(FrameType.Headers, whole, stream, encodeFields([":method", "HEAD", ":scheme", "https", ":authority", authority, ":path", "/"]))
const many = (count: number, each: (at: number) => string) => Array.from({ length: count }, (_, at) => each(at)).join("")
const odd = (at: number) => at * 2 + 1

const attacks: Readonly<Record<string, { readonly settings?: ReadonlyArray<readonly [number, number]>; readonly bytes: string }>> = {
  "rapid reset": { bytes: many(2000, (at) => request(odd(at)) + frame(FrameType.RstStream, 0, odd(at), uint32(8))) },
  "making the server reset": { bytes: many(2000, (at) => request(odd(at), Flag.EndHeaders) + windowFrame(odd(at), 0)) },
  "a CONTINUATION flood": {
    bytes: request(1, 0) + many(2000, () => frame(FrameType.Continuation, 0, 1, encodeFields(["x", "y".repeat(100)])))
  },
  "a PING flood": { bytes: many(5000, () => frame(FrameType.Ping, 0, 0, "12345678")) },
  "a SETTINGS flood": { bytes: many(5000, () => settingsFrame([[4, 100]])) },
  "a window held at zero": { settings: [[4, 0]], bytes: many(100, (at) => request(odd(at))) },
  "a window of one byte": { settings: [[4, 1]], bytes: many(100, (at) => request(odd(at)) + windowFrame(odd(at), 1)) },
  "bodies that never come": { bytes: many(100, (at) => request(odd(at), Flag.EndHeaders)) },
  "a table that is changed for ever": {
    bytes: many(100, (at) => frame(FrameType.Headers, 5, odd(at), encodeFields([...fields, `x${at}`, "y".repeat(3000)])))
  }
}

/** Sends it all and keeps the connection, reading, until the edge ends it. */
const attack = async ({ settings = [], bytes }: (typeof attacks)[string]): Promise<void> => {
  const socket = await edge.connect(host, { alpn: ["h2"] })
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()))
  socket.on("data", () => {}).on("error", () => {})
  socket.write(preface.toString("latin1") + settingsFrame(settings) + bytes, "latin1")
  await closed
}

/** Of attackers that read nothing: sent one after the other, while the edge takes it. */
const unread: Readonly<Record<string, ReadonlyArray<string>>> = {
  "answers without a body": Array.from({ length: 20 }, (_, round) => many(100, (at) => bare(odd(round * 100 + at)))),
  "answers of the edge's own": Array.from({ length: 20 }, (_, round) =>
    many(100, (at) => bare(odd(round * 100 + at), "other.example.org"))
  ),
  "large answers, windows wide open": [many(100, (at) => request(odd(at)))],
  acknowledgements: Array.from({ length: 20 }, () => many(150, () => frame(FrameType.Ping, 0, 0, "12345678")))
}
/** What each may make the edge keep: one MiB, and the answers to what it had asked for before that was reached. */
const keptMost = 6 * 1024 * 1024

const attackUnread = async (pieces: ReadonlyArray<string>): Promise<RawHttp2> => {
  const client = await RawHttp2.open(edge, host, [[4, 0x7fffffff]])
  client.socket.pause()
  client.send(windowFrame(0, 0x7fff0000))
  for (const piece of pieces) {
    client.send(piece)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  return client
}

const settled = async () => {
  const { listeners, metrics, pool } = edge.router
  while (listeners.open > 0 || metrics.inFlight > 0 || pool.size.busy > 0 || pool.size.idle > 0)
    await new Promise((resolve) => setTimeout(resolve, 20))
  // The double remembers; the edge is what is measured.
  for (const socket of origin.sockets) socket.destroy()
  origin.sockets.length = 0
  origin.received.length = 0
}
const memory = async (): Promise<number> => {
  for (let times = 0; times < 3; times++) {
    collect()
    await new Promise((resolve) => setImmediate(resolve))
  }
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

describe("E9: HTTP/2 abuse", () => {
  it("E9: after every kind of attack nothing is left open, and memory is what it was", async () => {
    const round = async () => {
      await Promise.all(Object.values(attacks).flatMap((one) => [attack(one), attack(one)]))
      await settled()
    }
    await round() // what is made once is made now
    const before = await memory()
    for (let times = 0; times < 2; times++) await round()
    const after = await memory()
    expect(after / before).toBeLessThan(1.1)
    const visitor = await edge.connect(host)
    visitor.destroy()
  })

  it("E9: clients that ask and read nothing make the edge keep little, for a while, and are cut off", async () => {
    const sample = () => {
      peak = Math.max(peak, unreadBytes(edge))
    }
    let peak = 0
    const sampling = setInterval(sample, 10)
    const round = async (): Promise<number> => {
      const attackers = await Promise.all(Object.values(unread).flatMap((pieces) => [attackUnread(pieces), attackUnread(pieces)]))
      await settled()
      for (const attacker of attackers) attacker.close()
      return attackers.length
    }
    const count = await round()
    const before = await memory()
    await round()
    clearInterval(sampling)
    expect(peak).toBeGreaterThan(0)
    expect(peak).toBeLessThan(count * keptMost)
    expect((await memory()) / before).toBeLessThan(1.1)
  })
})
