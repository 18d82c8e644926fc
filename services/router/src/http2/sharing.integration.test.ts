/** Streams of one connection share its windows: none starves beside a neighbour that wants all, or is blamed for one that takes all. */
import { createServer, type IncomingMessage, type Server } from "node:http"
import { connect } from "node:http2"
import type { AddressInfo } from "node:net"
import { afterAll, beforeAll, expect, it } from "vitest"
import { headers, RawHttp2 } from "../testing/RawHttp2.ts"
import { TestEdge } from "../testing/TestEdge.ts"
import { Setting, windowFrame } from "./frames.ts"

const host = "shop.example.org"
const smallSize = 200_000
let edge: TestEdge
let origin: Server
/** Uploads that the origin does not read. */
let held: Array<IncomingMessage> = []
const sleep = (millis: number) => new Promise((resolve) => setTimeout(resolve, millis))

beforeAll(async () => {
  origin = createServer((request, response) => {
    if (request.url === "/held") return void held.push(request.pause().on("end", () => response.end("taken")))
    if (request.url === "/upload") return void request.resume().on("end", () => response.end("taken"))
    response.writeHead(200)
    if (request.url === "/small") return void response.end(Buffer.alloc(smallSize))
    const more = () => {
      while (response.write(Buffer.alloc(65_536)));
    }
    response.on("drain", more)
    more()
  })
  await new Promise<void>((resolve) => origin.listen(0, "127.0.0.1", resolve))
  edge = await TestEdge.start({ limits: { bodyMillis: 4000 } })
  await edge.add(host, `http://127.0.0.1:${(origin.address() as AddressInfo).port}`)
})

afterAll(async () => {
  await edge.stop()
  origin.closeAllConnections()
  origin.close()
})

const get = (stream: number, path: string) => headers(stream, [":method", "GET", ":scheme", "https", ":authority", host, ":path", path])

it("a small answer beside an endless one gets its part of the connection's window", async () => {
  const client = await RawHttp2.open(edge, host, [[Setting.InitialWindowSize, 1 << 30]])
  const received = (stream: number) => client.received.get(stream) ?? 0
  client.send(get(1, "/endless"))
  await client.until(() => received(1) === 65_535)
  client.send(get(3, "/small"))
  await client.until(() => client.blocks.has(3))
  let given = 65_535
  while (!client.ended.has(3)) {
    // In pieces smaller than a turn: whoever is always first would have them all.
    client.send(windowFrame(0, 10_000))
    given += 10_000
    await client.until(() => received(1) + received(3) === given || client.ended.has(3))
    if (received(1) > 20 * smallSize) break
  }
  expect(received(3)).toBe(smallSize)
  expect(received(1)).toBeLessThan(3 * smallSize)
  client.close()
})

it("a body that can't be sent, because others that are held back use up the connection's window, is not stalled", async () => {
  held = []
  const session = connect(`https://127.0.0.1:${edge.https}`, { servername: host, ca: edge.authority.pem, maxSessionMemory: 1000 })
  await new Promise((resolve) => session.once("localSettings", resolve))
  const resets: Array<string> = []
  const upload = (path: string, size: number) => {
    const stream = session.request({ ":method": "POST", ":path": path, ":authority": host })
    stream.on("error", () => {}).on("close", () => stream.rstCode === 0 || resets.push(`${path} ${stream.rstCode}`))
    let text = ""
    stream.on("data", (piece) => {
      text += piece
    })
    stream.end(Buffer.alloc(size))
    return new Promise<string>((resolve) => stream.on("end", () => resolve(text)))
  }
  // More than kernels keep for an origin that does not read.
  const large = Array.from({ length: 5 }, () => upload("/held", 16 * 1024 * 1024))
  while ((session.state.remoteWindowSize ?? 0) > 0) await sleep(10)
  const small = upload("/upload", 100_000)
  await sleep(12_000) // several times as long as a body may stop
  expect(resets).toEqual([])
  for (const request of held) request.resume()
  expect(await Promise.all([small, ...large])).toEqual(Array.from({ length: 6 }, () => "taken"))
  expect(resets).toEqual([])
  session.close()
})
