/** E8: many requests on one connection without waiting for answers: what the edge holds for such a client, and that it answers each in order. */
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { ok, RawOrigin } from "../testing/RawOrigin.ts"
import { readAll, TestEdge } from "../testing/TestEdge.ts"

const host = "shop.example.org"
const maintained = "maintained.example.org"
const large = 8 * 1024 * 1024
const page = "x".repeat(30_000)
let edge: TestEdge
let origin: RawOrigin

const head = (name: string, method: string, path: string, more = "") => `${method} ${path} HTTP/1.1\r\nHost: ${name}\r\n${more}\r\n`
const get = (path: string, name = host) => head(name, "GET", path)
const post = (path: string, body: string) => head(host, "POST", path, `Content-Length: ${body.length}\r\n`) + body
const pathsOf = (answers: string) => [...answers.matchAll(/^Answer-To: (.*)\r$/gm)].map((line) => line[1])
const asked = () => origin.received.join("").match(/^GET /gm)?.length ?? 0

beforeAll(async () => {
  edge = await TestEdge.start({ limits: { drainMillis: 2000 } })
  origin = await RawOrigin.start((socket, piece) => {
    for (const [, path] of piece.matchAll(/^[A-Z]+ (\S+) HTTP\/1\.1\r$/gm)) {
      const answerTo = `Answer-To: ${path}\r\n`
      if (path === "/unfinished") socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${large + 1}\r\n\r\n${"y".repeat(large)}`)
      else if (path === "/slow") {
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${pieces}\r\n\r\n`)
        for (let at = 1; at <= pieces; at++) setTimeout(() => socket.write("s"), at * pieceMillis)
      } else setImmediate(() => socket.write(ok(page, answerTo)))
    }
  })
  await edge.add(host, origin.url)
  await edge.add(maintained, origin.url, { flags: { maintenance: { retry_after: 60 } } })
  const vendor = { application_id: "app-1", tenant_id: "tenant-1", origin: null, flags: {}, error_page: `<h1>${page}`, version: 1 }
  edge.router.applications.put(vendor)
})

afterAll(async () => {
  await edge.stop()
  await origin.stop()
})

const allClosed = async () => {
  while (edge.router.listeners.open > 0) await new Promise((resolve) => setTimeout(resolve, 5))
}

/** Milliseconds between the pieces of `/slow`; all of them last longer than a client may take nothing. */
const [pieces, pieceMillis] = [12, 500]

describe("a client that closes its side behind a request", () => {
  it("gets an answer that comes slowly, however long that takes", async () => {
    const socket = await edge.connect(host)
    socket.end(get("/slow"))
    expect((await readAll(socket)).split("\r\n\r\n")[1]).toBe("s".repeat(pieces))
  })
})

describe("E8: pipelining without reading", () => {
  // A kernel takes some megabytes for a client that reads nothing: not a third of these answers.
  const requests = 2500

  it("E8: no further request is taken while an answer waits for the client, whose time for taking it is limited", async () => {
    origin.received.length = 0
    const socket = await edge.connect(host)
    socket.on("error", () => {}).pause()
    socket.write(get("/").repeat(requests))
    await allClosed()
    expect(asked()).toBeLessThan(requests / 2)
    socket.destroy()
  })

  it("E8: the same for answers of the edge's own", async () => {
    let answered = 0
    edge.router.metrics.onRecord = () => answered++
    const socket = await edge.connect(maintained)
    socket.on("error", () => {}).pause()
    socket.write(get("/", maintained).repeat(requests))
    await allClosed()
    expect(answered).toBeGreaterThan(0)
    expect(answered).toBeLessThan(requests / 2)
    socket.destroy()
  })

  it("answers everything in order, bodies included, once the client reads", async () => {
    const paths = Array.from({ length: 600 }, (_, at) => `/${at}`)
    const body = (at: number) => "b".repeat(at % 50 === 0 ? 90_000 : 3)
    const socket = await edge.connect(host)
    const first = paths.map((path, at) => (at % 10 === 0 ? post(path, body(at)) : get(path))).join("")
    socket.pause().write(first + head(host, "GET", "/last", "Connection: close\r\n"))
    while (!origin.received.join("").includes("GET /51 ")) await new Promise((resolve) => setTimeout(resolve, 5))
    const answers = await readAll(socket.resume())
    expect(pathsOf(answers)).toEqual([...paths, "/last"])
  })
})

describe("a client that closes its side behind its requests", () => {
  it("RFC 9112 §9.6: gets the answers to all that were received whole, then the end", async () => {
    const socket = await edge.connect(host)
    const answers = readAll(socket)
    socket.end(get("/1") + get("/2") + get("/3"))
    expect(pathsOf(await answers)).toEqual(["/1", "/2", "/3"])
  })

  it("is left once a request has come that lacks some of its body", async () => {
    const socket = await edge.connect(host)
    const answers = readAll(socket)
    socket.end(get("/1") + get("/2") + post("/3", "whole").slice(0, -1))
    expect(pathsOf(await answers)).toEqual(["/1", "/2"])
  })

  it("E8: is not kept for ever by an answer without end, however much of it was taken before", async () => {
    const socket = await edge.connect(host)
    const closed = new Promise((resolve) => socket.on("close", resolve))
    socket.on("error", () => {}).pause()
    socket.end(get("/unfinished"))
    while (edge.router.metrics.inFlight === 0) await new Promise((resolve) => setTimeout(resolve, 5))
    socket.resume()
    await closed
  })
})
