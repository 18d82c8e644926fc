/** E8: an origin at its cap on a real edge: requests wait for their turn over every protocol, or are told when to come back. */
import { connect as connectHttp2, constants } from "node:http2"
import { type AddressInfo, createServer, type Socket } from "node:net"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { ok, RawOrigin } from "../testing/RawOrigin.ts"
import { readAll, readUntil, sendRaw, TestEdge } from "../testing/TestEdge.ts"
import type { PoolLimits } from "./OriginPool.ts"

const host = "shop.example.org"
const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`
const upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n"
const switched = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
const statusOf = (answer: string) => Number(/^HTTP\/1\.1 ([0-9]{3})/.exec(answer)?.[1] ?? 0)
const until = async (done: () => boolean) => {
  while (!done()) await new Promise((resolve) => setTimeout(resolve, 5))
}

/** An origin that answers nothing until it is told to. */
let origin: RawOrigin
let asked: Array<{ readonly path: string; readonly answer: () => void; readonly socket: Socket }> = []
let most = 0
let edge: TestEdge

const start = async (pool: Partial<PoolLimits>, http2: "own" | "node" = "own") => {
  edge = await TestEdge.start({ pool, http2 })
  await edge.add(host, origin.url)
}
const { waits } = { waits: () => edge.router.pool.waits }
const waiting = (count: number) => until(() => edge.router.pool.size.waiting === count)
const reached = (count: number) => until(() => asked.length >= count)

beforeEach(async () => {
  asked = []
  most = 0
  origin = await RawOrigin.start((socket, piece) => {
    for (const [, path] of piece.matchAll(/(?:GET|POST) (\/[^ ]*) HTTP/g)) {
      const bytes = piece.includes("Upgrade: websocket") ? switched : ok(`answer to ${path}`)
      asked.push({ path: path!, socket, answer: () => socket.write(bytes) })
    }
    most = Math.max(most, origin.sockets.filter((each) => !each.destroyed).length)
  })
})
afterEach(async () => {
  await edge.stop()
  await origin.stop()
})

describe("E8: an origin that has all the connections it may have", () => {
  it("answers everybody, one after the other, over HTTP/1.1, and never has more connections than that", async () => {
    await start({ perOrigin: 2 })
    const answers = [1, 2, 3, 4, 5].map((at) => sendRaw(edge, host, get(`/${at}`)))
    await waiting(3)
    await reached(2)
    for (let at = 0; at < 5; at++) {
      await reached(at + 1)
      asked[at]!.answer()
    }
    const texts = await Promise.all(answers)
    expect(texts.map(statusOf)).toEqual([200, 200, 200, 200, 200])
    texts.forEach((text, at) => {
      expect(text).toMatch(new RegExp(`answer to /${at + 1}$`))
    })
    expect(most).toBeLessThanOrEqual(2)
    expect(waits()).toEqual({ served: 3, full: 0, timeout: 0, gone: 0 })
  })

  it.each(["own", "node"] as const)("answers the streams of one HTTP/2 session in their order (%s codec)", async (http2) => {
    await start({ perOrigin: 1 }, http2)
    const session = connectHttp2(`https://127.0.0.1:${edge.https}`, { servername: host, ca: edge.authority.pem })
    const bodies: Array<string> = []
    const ask = (path: string) =>
      new Promise<void>((resolve, reject) => {
        const stream = session.request({ ":path": path, ":authority": host })
        stream.on("data", (piece) => bodies.push(String(piece)))
        stream.on("error", reject).on("end", () => resolve())
      })
    const all = ["/1", "/2", "/3"].map(ask)
    await waiting(2)
    for (let at = 0; at < 3; at++) {
      await reached(at + 1)
      asked[at]!.answer()
    }
    await Promise.all(all)
    expect(bodies).toEqual(["answer to /1", "answer to /2", "answer to /3"])
    session.close()
  })

  it("takes a WebSocket in its turn, whose tunnel then holds nobody up", async () => {
    await start({ perOrigin: 1 })
    const first = sendRaw(edge, host, get("/first"))
    await reached(1)
    const socket = await edge.connect(host)
    const head = readUntil(socket, (text) => text.includes("\r\n\r\n"))
    socket.write(`GET /socket HTTP/1.1\r\nHost: ${host}\r\n${upgrade}\r\n`)
    await waiting(1)
    asked[0]!.answer()
    await reached(2)
    asked[1]!.answer()
    expect(statusOf(await head)).toBe(101)
    expect(statusOf(await first)).toBe(200)
    const second = sendRaw(edge, host, get("/second"))
    await reached(3)
    asked[2]!.answer()
    expect(statusOf(await second)).toBe(200)
    socket.destroy()
  })

  it("gets the whole body of a request that waited", async () => {
    await start({ perOrigin: 1 })
    const first = sendRaw(edge, host, get("/first"))
    await reached(1)
    const body = "b".repeat(300_000)
    const post = edge.connect(host).then((socket) => {
      socket.write(`POST /upload HTTP/1.1\r\nHost: ${host}\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`)
      return readAll(socket)
    })
    await waiting(1)
    asked[0]!.answer()
    await until(() => origin.received.some((text) => text.endsWith(body)))
    asked[1]!.answer()
    expect(statusOf(await post)).toBe(200)
    expect(statusOf(await first)).toBe(200)
  })

  it("never hears of a client that left while it waited, over either protocol", async () => {
    await start({ perOrigin: 1 })
    const first = sendRaw(edge, host, get("/first"))
    await reached(1)
    const socket = await edge.connect(host)
    socket.write(get("/left"))
    await waiting(1)
    socket.destroy()
    await waiting(0)
    const session = connectHttp2(`https://127.0.0.1:${edge.https}`, { servername: host, ca: edge.authority.pem })
    const stream = session.request({ ":path": "/reset", ":authority": host })
    stream.on("error", () => {})
    await waiting(1)
    stream.close(8)
    await waiting(0)
    session.close()
    asked[0]!.answer()
    await first
    const last = sendRaw(edge, host, get("/last"))
    await reached(2)
    asked[1]!.answer()
    expect(statusOf(await last)).toBe(200)
    expect(asked.map(({ path }) => path)).toEqual(["/first", "/last"])
    expect(waits()).toMatchObject({ gone: 2, served: 0 })
  })

  it("gives its place on when its connection breaks off", async () => {
    await start({ perOrigin: 1 })
    const first = sendRaw(edge, host, get("/first"))
    const second = reached(1).then(() => sendRaw(edge, host, get("/second")))
    await waiting(1)
    asked[0]!.socket.end("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
    await reached(2)
    asked[1]!.answer()
    expect(await first).toMatch(/half$/)
    expect(await second).toMatch(/answer to \/second$/)
  })

  it("has a queue with an end: one more gets 503 and a Retry-After at once", async () => {
    await start({ perOrigin: 1, queue: 1 })
    const served = [sendRaw(edge, host, get("/1"))]
    await reached(1)
    served.push(sendRaw(edge, host, get("/2")))
    await waiting(1)
    const refused = await sendRaw(edge, host, get("/3"))
    expect(refused).toMatch(/^HTTP\/1\.1 503 [\s\S]*Retry-After: [1-9]/)
    for (let at = 0; at < 2; at++) {
      await reached(at + 1)
      asked[at]!.answer()
    }
    expect((await Promise.all(served)).map(statusOf)).toEqual([200, 200])
    expect(waits()).toEqual({ served: 1, full: 1, timeout: 0, gone: 0 })
  })

  it("lets nobody wait for ever: 503 and a Retry-After when the time is up", async () => {
    await start({ perOrigin: 1, queueMillis: 1 })
    const first = sendRaw(edge, host, get("/1"))
    await reached(1)
    expect(await sendRaw(edge, host, get("/2"))).toMatch(/^HTTP\/1\.1 503 [\s\S]*Retry-After: [1-9]/)
    asked[0]!.answer()
    expect(statusOf(await first)).toBe(200)
    expect(waits()).toEqual({ served: 0, full: 0, timeout: 1, gone: 0 })
    expect([...edge.router.metrics.samples()].filter(({ name }) => name.startsWith("edge_origin_wait")).length).toBe(5)
  })

  it.each([["alone", {}] as const, ["behind a PROXY header", { flags: { proxy_protocol: "v1" } }] as const])(
    "a request that is given up while its connection is made takes it along: the cap is on what the origin sees (%s)",
    async (_, fields) => {
      // Accepts, and never says a word of the handshake that the edge waits for.
      const seen: Array<Socket> = []
      const silent = createServer((socket) => seen.push(socket.on("error", () => {}).resume()))
      await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve))
      edge = await TestEdge.start({ pool: { perOrigin: 1 }, connectMillis: 600_000 })
      await edge.add(host, `https://127.0.0.1:${(silent.address() as AddressInfo).port}`, fields)
      const connection = await edge.connect(host, { alpn: ["h2"] })
      const session = connectHttp2(`https://${host}`, { createConnection: () => connection })
      for (let at = 1; at <= 6; at++) {
        const request = session.request({ ":path": `/${at}` }).on("error", () => {})
        await until(() => seen.length === at)
        request.close(constants.NGHTTP2_CANCEL)
        await until(() => seen.every((socket) => socket.destroyed))
      }
      session.destroy()
      silent.close()
    }
  )
})
