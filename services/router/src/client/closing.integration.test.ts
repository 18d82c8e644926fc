/** E14, and RFC 9112 §9.6: a connection that ends after an answer ends when the client has it, however slowly it reads. */
import type { TLSSocket } from "node:tls"
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
