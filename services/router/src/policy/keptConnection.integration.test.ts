/** What a connection remembers of its last request ends with what it was made from: a name or an application that changes is seen at once. */
import { createServer, type Server } from "node:http"
import type { AddressInfo, Socket } from "node:net"
import { afterAll, beforeAll, expect, it } from "vitest"
import { readUntil, TestEdge } from "../testing/TestEdge.ts"

const host = "kept.example.org"
let edge: TestEdge
let origins: ReadonlyArray<Server>
let urls: ReadonlyArray<string>

beforeAll(async () => {
  origins = ["first", "second"].map((name) =>
    createServer((request, response) =>
      response.end(`[${name} ${request.url} ${request.headers.host} ${request.headers["x-cd-connection"]}]`)
    )
  )
  for (const origin of origins) await new Promise<void>((resolve) => origin.listen(0, "127.0.0.1", resolve))
  urls = origins.map((origin) => `http://127.0.0.1:${(origin.address() as AddressInfo).port}`)
  edge = await TestEdge.start()
})

afterAll(async () => {
  await edge.stop()
  for (const origin of origins) origin.close()
})

/** What the origin says that was asked, or the status of an answer of the edge's own. */
const ask = async (socket: Socket, path: string): Promise<string> => {
  socket.write(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\nAccept: application/json\r\n\r\n`)
  const text = await readUntil(socket, (all) => /[\]}]\s*$/.test(all))
  return /\[.*\]/.exec(text)?.[0] ?? text.slice(9, 12)
}

it("E5: one connection follows its name's origin, its application, and its end", async () => {
  const application = (flags: object, origin: string) =>
    edge.router.applications.put({ application_id: "app-1", tenant_id: "tenant-1", origin, flags, error_page: null })
  const entry = await edge.add(host, urls[0]!, { connection_id: "c-1" })
  const socket = await edge.connect(host)
  expect(await ask(socket, "/a")).toBe(`[first /a ${host} c-1]`)
  let [version, revision] = [entry.version, 1000]
  const change = (fields: object) => edge.registry.putHostname({ ...entry, ...fields, version: ++version }, ++revision)
  change({ origin: urls[1] })
  expect(await ask(socket, "/b")).toBe(`[second /b ${host} c-1]`)
  change({ origin: `${urls[0]}/below`, connection_id: "c-2" })
  expect(await ask(socket, "/c")).toBe(`[first /below/c ${host} c-2]`)
  change({ flags: { origin: "application" } })
  application({}, `${urls[1]}/shared`)
  expect(await ask(socket, "/d")).toBe(`[second /shared/d ${host} c-1]`)
  application({ host_header: "origin" }, urls[0]!)
  expect(await ask(socket, "/e")).toBe(`[first /e ${urls[0]!.slice("http://".length)} c-1]`)
  application({ maintenance: { retry_after: 1 } }, urls[0]!)
  expect(await ask(socket, "/f")).toBe("503")
  application({}, urls[0]!)
  expect(await ask(socket, "/g")).toBe(`[first /g ${host} c-1]`)
  change({ status: "released" })
  expect(await ask(socket, "/h")).toBe("421")
})
