/** The edge in front of a real origin: every way that a request and its answer can be framed. */
import { createServer, type Server } from "node:http"
import { connect as connectHttp2 } from "node:http2"
import type { AddressInfo } from "node:net"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { readAll, readUntil, sendRaw, TestEdge } from "./testing/TestEdge.ts"

let edge: TestEdge
let origin: Server
let originUrl: string
let endEvents: () => void

const close = "Connection: close\r\n"

beforeAll(async () => {
  edge = await TestEdge.start()
  origin = createServer((request, response) => {
    const pieces: Array<Buffer> = []
    request.on("data", (piece) => pieces.push(piece))
    request.on("end", () => {
      const body = JSON.stringify({
        method: request.method,
        url: request.url,
        headers: request.headers,
        body: Buffer.concat(pieces).toString()
      })
      if (request.url === "/chunked") {
        response.writeHead(200, { trailer: "x-sum" })
        response.write(body.slice(0, 5))
        response.write(body.slice(5))
        response.addTrailers({ "x-sum": "42" })
        return response.end()
      }
      if (request.url === "/hint") response.writeEarlyHints({ link: "</style.css>; rel=preload" })
      if (request.url === "/events") {
        response.writeHead(200, { "content-type": "text/event-stream" })
        response.write("data: 1\n\n")
        endEvents = () => void response.end("data: 2\n\n")
        return
      }
      if (request.url === "/large") {
        response.writeHead(200, { "content-length": String(8 * 1024 * 1024) })
        return response.end(Buffer.alloc(8 * 1024 * 1024, 120))
      }
      response.writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(body) })
      response.end(body)
    })
  })
  await new Promise<void>((resolve) => origin.listen(0, "127.0.0.1", resolve))
  originUrl = `http://127.0.0.1:${(origin.address() as AddressInfo).port}`
  await edge.add("shop.example.org", originUrl, { connection_id: "c-1" })
})

afterAll(async () => {
  await edge.stop()
  origin.closeAllConnections()
  origin.close()
})

const bodyOf = (answer: string) => JSON.parse(answer.slice(answer.indexOf("{")))

describe("HTTP/1.1 through the edge", () => {
  it("forwards with Host preserved and forwarded fields overwritten (E6)", async () => {
    const spoofed =
      "X-Forwarded-For: 6.6.6.6\r\nx-forwarded-for: 7.7.7.7, 8.8.8.8\r\nX_Forwarded_For: 9.9.9.9\r\nForwarded: for=6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\n" +
      "X-CD-Connection: stolen\r\nx-cd-secret: 1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Port: 1\r\nX-Mine: kept\r\n"
    const answer = await sendRaw(edge, "shop.example.org", `GET /a?b=c HTTP/1.1\r\nHost: Shop.Example.org\r\n${spoofed}${close}\r\n`)
    expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
    const { headers, url } = bodyOf(answer)
    expect(url).toBe("/a?b=c")
    expect(headers).toMatchObject({
      host: "shop.example.org",
      "x-forwarded-for": "127.0.0.1",
      "x-forwarded-proto": "https",
      "x-mine": "kept"
    })
    expect(headers).toMatchObject({ "x-forwarded-host": "shop.example.org", "x-real-ip": "127.0.0.1", "x-cd-connection": "c-1" })
    expect(headers.forwarded).toBe("for=127.0.0.1;host=shop.example.org;proto=https")
    expect(Object.keys(headers).filter((name) => /secret|_|port/.test(name))).toEqual([])
  })

  it("keeps the connection and answers pipelined requests in order", async () => {
    const one = "GET /1 HTTP/1.1\r\nHost: shop.example.org\r\n\r\n"
    const answer = await sendRaw(
      edge,
      "shop.example.org",
      `${one}${one.replace("/1", "/2")}GET /3 HTTP/1.1\r\nHost: shop.example.org\r\n${close}\r\n`
    )
    expect(answer.match(/"url":"\/[123]"/g)).toEqual(['"url":"/1"', '"url":"/2"', '"url":"/3"'])
  })

  it("sends bodies in framing of its own: Content-Length, chunked, with trailers", async () => {
    const head = "POST /p HTTP/1.1\r\nHost: shop.example.org\r\n"
    const counted = await sendRaw(edge, "shop.example.org", [`${head}Content-Length: 5\r\n${close}\r\nhe`, "llo"])
    expect(bodyOf(counted)).toMatchObject({ body: "hello" })
    const pieces = [`${head}Transfer-Encoding: chunked\r\n${close}\r\n2;a=b\r\nhe\r\n3`, "\r\nllo\r\n0\r\nX-Sum: 1\r\n\r\n"]
    const chunked = await sendRaw(edge, "shop.example.org", pieces)
    expect(bodyOf(chunked)).toMatchObject({ body: "hello" })
    expect(bodyOf(chunked).headers["transfer-encoding"]).toBe("chunked")
  })

  it("passes chunked answers with their trailers", async () => {
    const answer = await sendRaw(edge, "shop.example.org", `GET /chunked HTTP/1.1\r\nHost: shop.example.org\r\n${close}\r\n`)
    expect(answer).toContain("Transfer-Encoding: chunked\r\n")
    expect(answer).toMatch(/\r\n0\r\nx-sum: 42\r\n\r\n$/i)
  })

  it("answers HTTP/1.0 without chunks and closes", async () => {
    const answer = await sendRaw(edge, "shop.example.org", "GET /chunked HTTP/1.0\r\nHost: shop.example.org\r\n\r\n")
    expect(answer).not.toContain("Transfer-Encoding")
    expect(bodyOf(answer)).toMatchObject({ url: "/chunked" })
  })

  it("answers HEAD with the length and no body, and stays in step", async () => {
    const head = "HEAD / HTTP/1.1\r\nHost: shop.example.org\r\n\r\n"
    const answer = await sendRaw(edge, "shop.example.org", `${head}GET /after HTTP/1.1\r\nHost: shop.example.org\r\n${close}\r\n`)
    expect(answer.match(/HTTP\/1\.1 200 OK/g)).toHaveLength(2)
    expect(bodyOf(answer)).toMatchObject({ url: "/after" })
  })

  it("asks for the body after Expect: 100-continue, and passes 103", async () => {
    const socket = await edge.connect("shop.example.org")
    socket.write("POST /expect HTTP/1.1\r\nHost: shop.example.org\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
    expect(await readUntil(socket, (text) => text.includes("\r\n\r\n"))).toBe("HTTP/1.1 100 Continue\r\n\r\n")
    socket.write("body")
    expect(await readUntil(socket, (text) => text.includes('"body":"body"'))).toContain("200 OK")
    socket.write("GET /hint HTTP/1.1\r\nHost: shop.example.org\r\n\r\n")
    expect(await readUntil(socket, (text) => text.includes("200 OK"))).toMatch(/^HTTP\/1\.1 103 Early Hints\r\nlink: /i)
    socket.destroy()
  })

  it("passes server-sent events as they come", async () => {
    const socket = await edge.connect("shop.example.org")
    socket.write("GET /events HTTP/1.1\r\nHost: shop.example.org\r\n\r\n")
    expect(await readUntil(socket, (text) => text.includes("data: 1"))).not.toContain("data: 2")
    endEvents()
    expect(await readUntil(socket, (text) => text.includes("0\r\n\r\n"))).toContain("data: 2")
    socket.destroy()
  })

  it("holds back a large answer while the client does not read", async () => {
    const socket = await edge.connect("shop.example.org")
    socket.pause()
    socket.write(`GET /large HTTP/1.1\r\nHost: shop.example.org\r\n${close}\r\n`)
    await new Promise((resolve) => setTimeout(resolve, 100))
    const answer = await readAll(socket.resume())
    expect(answer.length).toBeGreaterThan(8 * 1024 * 1024)
  })

  it("answers 503 without an origin, 502 for a dead one, as the client accepts", async () => {
    await edge.add("none.example.org", null)
    await edge.add("dead.example.org", "http://127.0.0.1:1")
    const none = await sendRaw(edge, "none.example.org", `GET / HTTP/1.1\r\nHost: none.example.org\r\n${close}\r\n`)
    expect(none).toMatch(/^HTTP\/1\.1 503 [\s\S]*text\/html/)
    const dead = await sendRaw(
      edge,
      "dead.example.org",
      `GET / HTTP/1.1\r\nHost: dead.example.org\r\nAccept: application/json\r\n${close}\r\n`
    )
    expect(dead).toMatch(/^HTTP\/1\.1 502 /)
    expect(bodyOf(dead).error).toMatchObject({ code: "bad_gateway", request_id: expect.any(String) })
  })
})

describe("HTTP/2 through the edge", () => {
  const request = (headers: Record<string, string>, body?: string) =>
    new Promise<{ status: number; body: string; trailers: Record<string, unknown> }>((resolve, reject) => {
      const session = connectHttp2(`https://127.0.0.1:${edge.https}`, { servername: "shop.example.org", ca: edge.authority.pem })
      session.on("error", reject)
      const stream = session.request({ ":authority": "shop.example.org", ...headers }, { endStream: body === undefined })
      const pieces: Array<Buffer> = []
      let status = 0
      let trailers = {}
      stream.on("response", (fields) => {
        status = Number(fields[":status"])
      })
      stream.on("trailers", (fields) => {
        trailers = fields
      })
      stream.on("data", (piece) => pieces.push(piece))
      stream.on("error", reject)
      stream.on("end", () => {
        session.close()
        resolve({ status, body: Buffer.concat(pieces).toString(), trailers })
      })
      if (body !== undefined) stream.end(body)
    })

  it("forwards requests with and without a body", async () => {
    const get = await request({ ":path": "/h2?x=1", cookie: "a=1" })
    expect(get.status).toBe(200)
    expect(JSON.parse(get.body)).toMatchObject({
      url: "/h2?x=1",
      headers: { host: "shop.example.org", "x-forwarded-proto": "https", cookie: "a=1" }
    })
    const post = await request({ ":method": "POST", ":path": "/p" }, "hello")
    expect(JSON.parse(post.body)).toMatchObject({ method: "POST", body: "hello" })
    const chunked = await request({ ":path": "/chunked" })
    expect(chunked.trailers).toMatchObject({ "x-sum": "42" })
  })

  it("E3: refuses a host that differs from :authority, and names that are not the connection's", async () => {
    expect((await request({ ":path": "/", host: "other.example.org" })).status).toBe(400)
    await edge.add("foreign.example.org", originUrl, { tenant_id: "tenant-2" })
    expect((await request({ ":path": "/", ":authority": "foreign.example.org" })).status).toBe(421)
  })

  it("passes 8 MiB both ways", async () => {
    expect((await request({ ":path": "/large" })).body).toHaveLength(8 * 1024 * 1024)
    const body = "y".repeat(3 * 1024 * 1024)
    expect(JSON.parse((await request({ ":method": "POST", ":path": "/p" }, body)).body).body).toHaveLength(body.length)
  })
})
