/** E14, and RFC 9112 §9.6: a connection that ends after an answer ends when the client has it, however slowly it reads. And TLS's farewells. */
import { once } from "node:events"
import { type AddressInfo, connect as connectTcp, createServer } from "node:net"
import { connect as connectTls, type TLSSocket } from "node:tls"
import { beforeEach, describe, expect, it } from "vitest"
import { readAll, TestEdge } from "../testing/TestEdge.ts"

const host = "shop.example.org"
/** More than any kernel takes for a client that reads nothing: when the edge is done with it, most of it still waits in the edge. */
const page = "a".repeat(24 * 1024 * 1024)
/** More than the edge listens to a client that has everything. */
const pauseMillis = 3000
const wait = (millis: number) => new Promise((resolve) => setTimeout(resolve, millis))

let edge: TestEdge

beforeEach(async () => {
  edge = await TestEdge.start()
  await edge.add(host, null, { flags: { maintenance: { retry_after: 60 } } })
  const vendor = { application_id: "app-1", tenant_id: "tenant-1", origin: null, flags: {}, error_page: page, version: 1 }
  edge.router.applications.put(vendor)
})

/** A client that asks and reads nothing yet, when the edge has answered. */
const asked = async (more: string): Promise<TLSSocket> => {
  const socket = await edge.connect(host)
  const answered = new Promise<void>((resolve) => {
    edge.router.metrics.onRecord = () => resolve()
  })
  socket.pause().write(`GET / HTTP/1.1\r\nHost: ${host}\r\n${more}\r\n`)
  await answered
  return socket
}

describe("an answer whose end the client has not taken yet", () => {
  it("arrives whole before a connection that was to be closed is", async () => {
    const socket = await asked("Connection: close\r\n")
    await wait(pauseMillis)
    expect((await readAll(socket.resume())).length).toBeGreaterThan(page.length)
    await edge.stop()
  })

  it("E14: arrives whole although the process drains", async () => {
    const socket = await asked("")
    const stopped = edge.stop(60_000)
    await wait(2 * pauseMillis) // connections younger than three seconds are waited for anyway
    expect((await readAll(socket.resume())).length).toBeGreaterThan(page.length)
    await stopped
  })

  it("arrives whole although the client has closed its side meanwhile", async () => {
    const socket = await asked("Connection: close\r\n")
    socket.end()
    await wait(500)
    expect((await readAll(socket.resume())).length).toBeGreaterThan(page.length)
    await edge.stop()
  })
})

/** Of a record that carries an alert (RFC 5246 §6.2.1). TLS 1.3 would not show it. */
const alert = 21

const recordTypes = (bytes: Buffer): ReadonlyArray<number> => {
  const types: Array<number> = []
  for (let at = 0; at < bytes.length; at += 5 + bytes.readUInt16BE(at + 3)) types.push(bytes[at]!)
  return types
}

describe("a client that says farewell to an idle connection", () => {
  const asking = {
    "http/1.1": `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
    h2: `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${"\0\0\0\x04\0\0\0\0\0"}`
  }
  it.each(["http/1.1", "h2"] as const)("is told one too (RFC 8446 §6.1, RFC 5246 §7.2.1), over %s", async (protocol) => {
    await edge.add("small.example.org", null, { application_id: "app-2", flags: { maintenance: { retry_after: 60 } } })
    const sent: Array<Buffer> = []
    const relay = createServer((client) => {
      const server = connectTcp(edge.https, "127.0.0.1")
      // Not a pipe: a client that is closed would stop it, and the farewell comes behind that.
      server.on("data", (piece) => {
        sent.push(piece)
        client.write(piece)
      })
      client
        .on("error", () => {})
        .pipe(server)
        .on("close", () => relay.close())
    })
    await once(relay.listen(0, "127.0.0.1"), "listening")
    const { port } = relay.address() as AddressInfo
    const options = { servername: "small.example.org", ca: [edge.authority.pem], maxVersion: "TLSv1.2" as const }
    const client = connectTls({ host: "127.0.0.1", port, ALPNProtocols: [protocol], ...options })
    await once(client, "secureConnect")
    client.write(asking[protocol].replace(host, "small.example.org"), "latin1")
    await once(client, "data")
    client.resume().end()
    await once(relay, "close")
    const types = recordTypes(Buffer.concat(sent))
    expect(types.at(-1)).toBe(alert)
    expect(types.filter((type) => type === alert)).toHaveLength(1)
    await edge.stop()
  })
})
