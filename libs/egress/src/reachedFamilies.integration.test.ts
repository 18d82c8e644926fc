/** A name with addresses of both families is reached by the one that worked, until that one fails. */
import { createServer, type Server, type Socket } from "node:net"
import { afterEach, expect, it } from "vitest"
import { makeAddressPolicy, parseNetwork } from "./AddressPolicy.ts"
import { checkedConnect } from "./checkedConnect.ts"
import type { Resolve } from "./resolveName.ts"

const policy = makeAddressPolicy([parseNetwork("127.0.0.0/8")!, parseNetwork("::1/128")!])
const resolve: Resolve = (_name, done) =>
  done(null, [
    { address: "::1", family: 6 },
    { address: "127.0.0.1", family: 4 }
  ])
const servers: Array<Server> = []
const listen = (host: string, port = 0): Promise<number> =>
  new Promise((resolved, reject) => {
    const server = createServer((socket) => socket.on("error", () => {}))
    servers.push(server)
    server.once("error", reject).listen(port, host, () => resolved((server.address() as { port: number }).port))
  })
const close = (server: Server) => new Promise((closed) => server.close(closed))
afterEach(async () => {
  await Promise.all(servers.splice(0).map(close))
})

/** The address that a connection to `host` came to. */
const reach = (host: string, port: number): Promise<string | undefined> =>
  new Promise((resolved, reject) => {
    checkedConnect(policy, { host, port, resolve }, (error, socket) => {
      if (error !== null) return reject(error)
      const { remoteAddress } = socket as Socket
      socket!.destroy()
      resolved(remoteAddress)
    })
  })

it("tries first what worked last, and the other when that is gone", async () => {
  const port = await listen("127.0.0.1")
  expect(await reach("both.test", port)).toBe("127.0.0.1")
  await listen("::1", port)
  expect(await reach("both.test", port)).toBe("127.0.0.1")
  expect(await reach("other.test", port)).toBe("::1")
  await close(servers.shift()!)
  expect(await reach("both.test", port)).toBe("::1")
  await listen("127.0.0.1", port)
  expect(await reach("both.test", port)).toBe("::1")
})
