/** The client's SETTINGS_HEADER_TABLE_SIZE (RFC 7541 §4.2): a smaller table is agreed to at the beginning of the next header block, once. */
import { connect } from "node:http2"
import { afterAll, beforeAll, expect, it } from "vitest"
import { headers, RawHttp2 } from "../testing/RawHttp2.ts"
import { RawOrigin } from "../testing/RawOrigin.ts"
import { TestEdge } from "../testing/TestEdge.ts"
import { Setting, settingsFrame } from "./frames.ts"

const host = "shop.example.org"
const hints = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
const chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-T: 1\r\n\r\n"
const get = (stream: number) => headers(stream, [":method", "GET", ":scheme", "https", ":authority", host, ":path", "/"])
let edge: TestEdge
let origin: RawOrigin

beforeAll(async () => {
  edge = await TestEdge.start()
  origin = await RawOrigin.answering(hints + chunked)
  await edge.add(host, origin.url)
})

afterAll(async () => {
  await edge.stop()
  await origin.stop()
})

const sizes = [Setting.HeaderTableSize, 0] as const
const begins = (client: RawHttp2, stream: number) => client.blocks.get(stream)!.map((block) => block.charCodeAt(0) === 0x20)

it.each([
  ["4096, as at first", [settingsFrame([[1, 4096]])], false],
  ["more", [settingsFrame([[1, 65_536]])], false],
  ["less", [settingsFrame([[1, 1024]])], true],
  ["none", [settingsFrame([sizes])], true],
  ["none and then more again", [settingsFrame([sizes, [1, 8192]])], true],
  ["none and then more again, in two frames", [settingsFrame([sizes]), settingsFrame([[1, 8192]])], true]
])("a table of %s", async (_, settings, agreed) => {
  const client = await RawHttp2.open(edge, host)
  client.send(get(1))
  await client.until(() => client.ended.has(1))
  for (const frame of settings) client.send(frame)
  client.send(get(3) + get(5))
  await client.until(() => client.ended.has(3) && client.ended.has(5))
  expect(begins(client, 1)).toEqual([false, false, false])
  expect([...begins(client, 3), ...begins(client, 5)].filter(Boolean)).toHaveLength(agreed ? 1 : 0)
  expect(begins(client, 3)[0] || begins(client, 5)[0]).toBe(agreed)
  // Once again smaller: agreed to once again; what ends an answer counts as well.
  client.send(settingsFrame([[1, 10]]) + settingsFrame([[1, 5]]) + get(7))
  await client.until(() => client.ended.has(7))
  expect(begins(client, 7)).toEqual([true, false, false])
  client.close()
})

it.each([4096, 1024, 0])("clients that have a table of %d bytes are served (nghttp2 refuses a block that does not agree)", async (size) => {
  const options = { servername: host, ca: edge.authority.pem, settings: { headerTableSize: size } }
  const session = connect(`https://127.0.0.1:${edge.https}`, options)
  await new Promise((resolve, reject) => session.once("localSettings", resolve).once("error", reject))
  for (let times = 0; times < 2; times++) {
    const stream = session.request({ ":path": "/", ":authority": host })
    const status = await new Promise((resolve, reject) => stream.on("response", (fields) => resolve(fields[":status"])).on("error", reject))
    expect(status).toBe(200)
    stream.resume()
    await new Promise((resolve) => stream.once("close", resolve))
  }
  session.close()
})
