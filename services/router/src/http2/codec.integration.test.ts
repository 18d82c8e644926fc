/** The edge's own HTTP/2 codec beside node:http2: the same requests, the same answers; then what only an attacker sends (E9). */
import { createServer, type Server } from "node:http"
import { type ClientHttp2Session, connect } from "node:http2"
import type { AddressInfo } from "node:net"
import type { TLSSocket } from "node:tls"
import fc from "fast-check"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { encodeFields } from "../testing/encodeFields.ts"
import { TestEdge } from "../testing/TestEdge.ts"
import { ErrorCode, Flag, FrameType, frameHeader, preface, settingsFrame, uint32, windowFrame } from "./frames.ts"

const host = "shop.example.org"
let own: TestEdge
let node: TestEdge
let origin: Server

beforeAll(async () => {
  origin = createServer((request, response) => {
    let length = 0
    let sum = 0
    request.on("data", (piece: Buffer) => {
      length += piece.length
      for (const byte of piece) sum = (sum * 31 + byte) >>> 0
    })
    request.on("end", () => {
      const { "x-cd-request-id": _id, "x-cd-connection": _connection, ...headers } = request.headers
      const size = Number(/size=([0-9]+)/.exec(request.url ?? "")?.[1] ?? 0)
      if (request.url?.includes("chunked")) response.writeHead(203, { "x-many": ["a", "b"], trailer: "x-t" })
      else response.writeHead(200, size > 0 ? { "content-length": size } : {})
      if (size > 0) response.write(Buffer.alloc(size, 97))
      else response.write(JSON.stringify({ method: request.method, url: request.url, headers, length, sum, trailers: request.trailers }))
      if (request.url?.includes("chunked")) response.addTrailers({ "x-t": "1" })
      response.end()
    })
  })
  await new Promise<void>((resolve) => origin.listen(0, "127.0.0.1", resolve))
  const url = `http://127.0.0.1:${(origin.address() as AddressInfo).port}`
  const limits = { headMillis: 1000, bodyMillis: 1000, drainMillis: 500, idleMillis: 2000 }
  own = await TestEdge.start({ http2: "own", limits })
  node = await TestEdge.start({ http2: "node" })
  await own.add(host, url)
  await node.add(host, url)
})

afterAll(async () => {
  await own.stop()
  await node.stop()
  origin.closeAllConnections()
  origin.close()
})

interface Asked {
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: number
}

const ask = (session: ClientHttp2Session, { method, path, headers, body }: Asked) =>
  new Promise<unknown>((resolve) => {
    const stream = session.request({ ":method": method, ":path": path, ":authority": host, ...headers }, { endStream: body === 0 })
    const pieces: Array<Buffer> = []
    let fields: Record<string, unknown> = {}
    let trailers: Record<string, unknown> = {}
    stream.on("response", (received) => {
      const { date: _, ...others } = received
      fields = others
    })
    stream.on("trailers", (received) => {
      trailers = received
    })
    stream.on("data", (piece: Buffer) => pieces.push(piece))
    stream.on("error", () => {})
    const plain = (object: object) => Object.fromEntries(Object.entries(object))
    stream.on("close", () =>
      resolve({ fields: plain(fields), trailers: plain(trailers), body: Buffer.concat(pieces).toString(), code: stream.rstCode })
    )
    if (body > 0) stream.end(Buffer.alloc(body, 98))
  })

const open = (edge: TestEdge): ClientHttp2Session =>
  connect(`https://127.0.0.1:${edge.https}`, { servername: host, ca: edge.authority.pem }).on("error", () => {})

describe("the own codec answers as node:http2 does", () => {
  it("for any mix of requests on one connection", async () => {
    const asked = fc.record({
      method: fc.constantFrom("GET", "POST", "PUT", "DELETE", "OPTIONS"),
      path: fc.constantFrom("/", "/a?b=c", "/chunked", "/size=10", "/size=70000", "/size=400000"),
      headers: fc.dictionary(fc.stringMatching(/^x-[a-z]{1,8}$/), fc.stringMatching(/^[!-~]{0,60}$/), { maxKeys: 8 }),
      body: fc.constantFrom(0, 0, 1, 5000, 70_000, 300_000)
    })
    await fc.assert(
      fc.asyncProperty(fc.array(asked, { minLength: 1, maxLength: 12 }), async (requests) => {
        const sessions = [open(own), open(node)]
        const [ours, theirs] = await Promise.all(sessions.map((session) => Promise.all(requests.map((each) => ask(session, each)))))
        for (const session of sessions) session.close()
        expect(ours).toEqual(theirs)
      }),
      { numRuns: 25 }
    )
  })
})

const headers = (stream: number, fields: ReadonlyArray<string> = request, flags = Flag.EndStream | Flag.EndHeaders) => {
  const block = encodeFields(fields)
  return frameHeader(block.length, FrameType.Headers, flags, stream) + block
}
const request = [":method", "GET", ":scheme", "https", ":authority", host, ":path", "/size=10"]
const frame = (type: number, flags: number, stream: number, payload = "") => frameHeader(payload.length, type, flags, stream) + payload
const start = preface.toString("latin1") + settingsFrame([])

/** Sends raw bytes after preface and settings; reads frames until the edge closes. */
const attack = (bytes: string | ((socket: TLSSocket) => void), begin = start) =>
  new Promise<{ goaway: number | undefined; resets: ReadonlyArray<number>; statuses: number }>((resolve, reject) => {
    own.connect(host, { alpn: ["h2"] }).then((socket) => {
      const pieces: Array<Buffer> = []
      socket.on("data", (piece: Buffer) => pieces.push(piece))
      socket.on("error", () => {})
      socket.on("close", () => {
        const all = Buffer.concat(pieces)
        let goaway: number | undefined
        let statuses = 0
        const resets: Array<number> = []
        for (let at = 0; at + 9 <= all.length; at += 9 + all.readUIntBE(at, 3)) {
          if (all[at + 3] === FrameType.Goaway) goaway = all.readUInt32BE(at + 13)
          if (all[at + 3] === FrameType.RstStream) resets.push(all.readUInt32BE(at + 9))
          if (all[at + 3] === FrameType.Headers) statuses++
        }
        resolve({ goaway, resets, statuses })
      })
      socket.write(begin, "latin1")
      if (typeof bytes === "string") socket.write(bytes, "latin1")
      else bytes(socket)
    }, reject)
  })

/** Resolves when so many frames of this kind have come. */
const seen = (socket: TLSSocket, count: number, wanted: (type: number, flags: number, stream: number) => boolean) =>
  new Promise<void>((resolve) => {
    let all = Buffer.alloc(0)
    socket.on("data", (piece: Buffer) => {
      all = Buffer.concat([all, piece])
      let found = 0
      for (let at = 0; at + 9 <= all.length; at += 9 + all.readUIntBE(at, 3))
        if (wanted(all[at + 3]!, all[at + 4]!, all.readUInt32BE(at + 5))) found++
      if (found >= count) resolve()
    })
  })

/** Resolves when the answer on this stream is complete. */
const answered = (socket: TLSSocket, stream: number) =>
  seen(socket, 1, (type, flags, id) => id === stream && type <= FrameType.Headers && (flags & Flag.EndStream) !== 0)

const many = (count: number, each: (at: number) => string) => Array.from({ length: count }, (_, at) => each(at)).join("")
const drop = (code: number) => frame(FrameType.RstStream, 0, 1, uint32(code))

describe("E9: abuse ends the connection with GOAWAY", () => {
  const { Protocol, FrameSize, FlowControl, Compression, EnhanceYourCalm, StreamClosed } = ErrorCode
  it.each<readonly [string, number, string]>([
    [
      "rapid reset (CVE-2023-44487)",
      EnhanceYourCalm,
      many(800, (at) => headers(at * 2 + 1) + frame(FrameType.RstStream, 0, at * 2 + 1, uint32(8)))
    ],
    [
      "making the server reset (CVE-2025-8671)",
      EnhanceYourCalm,
      many(800, (at) => headers(at * 2 + 1, request, Flag.EndHeaders) + windowFrame(at * 2 + 1, 0))
    ],
    ["malformed requests, one after another", EnhanceYourCalm, many(800, (at) => headers(at * 2 + 1, [...request, "X", "y"]))],
    [
      "bodies longer than they were said to be, one after another",
      EnhanceYourCalm,
      many(
        800,
        (at) => headers(at * 2 + 1, [...request, "content-length", "1"], Flag.EndHeaders) + frame(FrameType.Data, 0, at * 2 + 1, "xy")
      )
    ],
    [
      "a flood of CONTINUATION (CVE-2024-27316)",
      EnhanceYourCalm,
      headers(1, request, 0) + many(40, () => frame(FrameType.Continuation, 0, 1, encodeFields(["x", "y"])))
    ],
    [
      "a header block of 100 KiB",
      EnhanceYourCalm,
      headers(1, request, 0) + many(8, () => frame(FrameType.Continuation, 0, 1, encodeFields(["x", "y".repeat(16_000)])))
    ],
    ["a flood of PING", EnhanceYourCalm, many(1000, () => frame(FrameType.Ping, 0, 0, "12345678"))],
    ["a flood of SETTINGS", EnhanceYourCalm, many(1000, () => settingsFrame([]))],
    ["a flood of empty DATA", EnhanceYourCalm, headers(1, request, Flag.EndHeaders) + many(1000, () => frame(FrameType.Data, 0, 1))],
    ["a flood of unknown frames", EnhanceYourCalm, many(1000, () => frame(77, 0, 0))],
    ["a connection window that overflows", FlowControl, windowFrame(0, 0x7fffffff)],
    ["a connection window of plus zero", Protocol, windowFrame(0, 0)],
    ["a frame larger than offered", FrameSize, frameHeader(16_385, FrameType.Data, 0, 1)],
    ["DATA on stream 0", Protocol, frame(FrameType.Data, 0, 0, "x")],
    ["DATA on an idle stream", Protocol, frame(FrameType.Data, 0, 1, "x")],
    ["HEADERS on stream 0", Protocol, headers(0)],
    ["HEADERS on an even stream", Protocol, headers(2)],
    ["HEADERS on an earlier stream", StreamClosed, headers(5) + headers(3)],
    ["RST_STREAM on an idle stream", Protocol, drop(8)],
    ["WINDOW_UPDATE on an idle stream", Protocol, windowFrame(1, 1)],
    ["WINDOW_UPDATE of three bytes", FrameSize, frame(FrameType.WindowUpdate, 0, 0, "123")],
    ["PING of seven bytes", FrameSize, frame(FrameType.Ping, 0, 0, "1234567")],
    ["PING on a stream", Protocol, frame(FrameType.Ping, 0, 1, "12345678")],
    ["SETTINGS on a stream", Protocol, frame(FrameType.Settings, 0, 1)],
    ["SETTINGS of five bytes", FrameSize, frame(FrameType.Settings, 0, 0, "12345")],
    ["an acknowledgement with content", FrameSize, frame(FrameType.Settings, Flag.Ack, 0, "123456")],
    ["a push enabled with 2", Protocol, settingsFrame([[2, 2]])],
    ["an initial window of 2^31", FlowControl, settingsFrame([[4, 0x80000000]])],
    ["a frame size of 1", Protocol, settingsFrame([[5, 1]])],
    ["PUSH_PROMISE from a client", Protocol, headers(1) + frame(FrameType.PushPromise, Flag.EndHeaders, 1, uint32(2))],
    ["PRIORITY on stream 0", Protocol, frame(FrameType.Priority, 0, 0, "12345")],
    ["PRIORITY that depends on its own stream", Protocol, frame(FrameType.Priority, 0, 1, `${uint32(1)}\x10`)],
    ["PRIORITY of four bytes on an idle stream", FrameSize, frame(FrameType.Priority, 0, 1, "1234")],
    [
      "HEADERS that depend on their own stream",
      Protocol,
      frame(FrameType.Headers, 37, 1, `${uint32(0x80000001)}\x10${encodeFields(request)}`)
    ],
    ["GOAWAY of seven bytes", FrameSize, frame(FrameType.Goaway, 0, 0, "1234567")],
    ["GOAWAY on a stream", Protocol, frame(FrameType.Goaway, 0, 1, uint32(0) + uint32(0))],
    ["CONTINUATION out of the blue", Protocol, frame(FrameType.Continuation, Flag.EndHeaders, 1)],
    ["another frame inside a header block", Protocol, headers(1, request, 0) + frame(FrameType.Ping, 0, 0, "12345678")],
    ["another stream's CONTINUATION", Protocol, headers(1, request, 0) + frame(FrameType.Continuation, Flag.EndHeaders, 3)],
    ["a broken header block", Compression, frame(FrameType.Headers, Flag.EndHeaders, 1, "\xff\xff\xff\xff\xff")],
    ["more padding than frame", Protocol, frame(FrameType.Headers, Flag.EndHeaders | Flag.Padded, 1, "\xffabc")]
  ])("%s", async (_, code, bytes) => {
    expect((await attack(bytes)).goaway).toBe(code)
  })

  it("refuses what is not HTTP/2, and a first frame that is not SETTINGS", async () => {
    expect((await attack("", "GET / HTTP/1.1\r\nHost: a\r\n\r\n")).goaway).toBe(Protocol)
    expect((await attack("", preface.toString("latin1") + frame(FrameType.Ping, 0, 0, "12345678"))).goaway).toBe(Protocol)
  })

  it("bounds a header block that never ends, a body that stops, and a window that stays shut", async () => {
    expect((await attack(headers(1, request, 0))).goaway).toBe(EnhanceYourCalm)
    expect((await attack(headers(1, [...request.slice(2), ":method", "POST"], Flag.EndHeaders))).resets).toEqual([ErrorCode.Cancel])
    const shut = preface.toString("latin1") + settingsFrame([[4, 0]])
    expect((await attack(headers(1), shut)).resets).toEqual([ErrorCode.Cancel])
  })

  it("refuses the 129th stream at a time, trailers with a pseudo-field, and a list that is too large", async () => {
    const post = [":method", "POST", ...request.slice(2)]
    const crowd = await attack((socket) => {
      socket.write(
        many(130, (at) => headers(at * 2 + 1, post, Flag.EndHeaders)),
        "latin1"
      )
      void seen(socket, 2, (type) => type === FrameType.RstStream).then(() => socket.end())
    })
    expect(crowd.resets.filter((code) => code === ErrorCode.RefusedStream)).toHaveLength(2)
    const trailers = await attack((socket) => {
      socket.write(headers(1, post, Flag.EndHeaders) + headers(1, [":path", "/"]), "latin1")
      void seen(socket, 1, (type) => type === FrameType.RstStream).then(() => socket.end())
    })
    expect(trailers.resets).toEqual([Protocol])
    const bomb = await attack((socket) => {
      socket.write(headers(1, [...request, ...Array.from({ length: 1100 }, () => ["a", "b"]).flat()]), "latin1")
      void seen(socket, 1, (type) => type === FrameType.Headers).then(() => socket.end())
    })
    expect(bomb).toMatchObject({ goaway: undefined, statuses: 1 })
  })

  it.each([
    ["a name in upper case", [...request, "X", "y"], [Protocol]],
    ["a field that is connection-specific", [...request, "connection", "close"], [Protocol]],
    ["no :path", request.slice(0, 6), [Protocol]],
    ["a length without a body", [...request, "content-length", "5"], [Protocol]],
    ["a path that is only badly written", [...request.slice(0, 6), ":path", "/%zz"], []],
    ["a host that the edge does not hold", [...request.slice(0, 4), ":authority", "other.example.org", ...request.slice(6)], []]
  ])(
    "malformed is a stream error behind the answer, other refusals are an answer alone (RFC 9113 §8.1.1): %s",
    async (_, fields, resets) => {
      const told = await attack((socket) => {
        socket.write(headers(1, fields) + headers(3), "latin1")
        void answered(socket, 3).then(() => socket.end())
      })
      expect(told).toEqual({ goaway: undefined, resets, statuses: 2 })
    }
  )

  it.each([
    ["that ended", headers(1)],
    ["that the client reset", headers(1, request, Flag.EndHeaders) + drop(8)]
  ])("DATA on a stream %s is a stream error (RFC 9113 §6.1)", async (_, before) => {
    const told = await attack((socket) => {
      socket.write(before, "latin1")
      const ended = before === headers(1) ? answered(socket, 1) : Promise.resolve()
      void ended.then(() => socket.write(frame(FrameType.Data, Flag.EndStream, 1, "x") + headers(3), "latin1"))
      void answered(socket, 3).then(() => socket.end())
    })
    expect(told).toMatchObject({ goaway: undefined, resets: [StreamClosed] })
  })

  it("what was under way to a stream which the edge reset is read and dropped (RFC 9113 §5.1)", async () => {
    const declined = [":method", "POST", ...request.slice(2), "expect", "tea"]
    const told = await attack((socket) => {
      const rest = frame(FrameType.Data, 0, 1, "x") + headers(1, ["x-sum", "1"])
      socket.write(headers(1, declined, Flag.EndHeaders) + rest + headers(3), "latin1")
      void answered(socket, 3).then(() => socket.end())
    })
    expect(told).toEqual({ goaway: undefined, resets: [ErrorCode.NoError], statuses: 2 })
  })

  it("survives any bytes behind the preface", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (bytes) => {
        await attack((socket) => {
          socket.write(Buffer.from(bytes))
          socket.end()
        })
      }),
      { numRuns: 30 }
    )
    const session = open(own)
    expect(await ask(session, { method: "GET", path: "/size=10", headers: {}, body: 0 })).toMatchObject({ body: "aaaaaaaaaa" })
    session.close()
  })
})
