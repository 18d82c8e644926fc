/**
 * Ports for servers that can't choose their own, or that come back on the one they had. Those of one call are held until the last is known, so none
 * comes twice.
 *
 * Built against: a port of the range that the kernel takes outgoing connections' from (on Linux from 32768 up), which one of them may have before the
 * server does, and while it is down.
 */
import { createSocket } from "node:dgram"
import { createServer, type Server } from "node:net"

const [lowest, highest] = [20_000, 32_000]

const hold = (port: number): Promise<Server | undefined> =>
  new Promise((resolve, reject) => {
    const server = createServer()
    server.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EADDRINUSE" || error.code === "EACCES") resolve(undefined)
      else reject(error)
    })
    server.listen(port, "127.0.0.1", () => resolve(server))
  })

const holdAny = async (taken: ReadonlyArray<number>): Promise<Server> => {
  for (;;) {
    const port = lowest + Math.floor(Math.random() * (highest - lowest))
    const server = taken.includes(port) ? undefined : await hold(port)
    if (server !== undefined) return server
  }
}

/** `count` ports of 127.0.0.1 that were free a moment ago, for TCP. `taken`: given to others, who may not listen yet. */
export const freePorts = async (count: number, taken: ReadonlyArray<number> = []): Promise<ReadonlyArray<number>> => {
  const servers = await Promise.all(Array.from({ length: count }, () => holdAny(taken)))
  const ports = servers.map((server) => (server.address() as { port: number }).port)
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}

/** One that is free for TCP. */
export const freePort = async (): Promise<number> => (await freePorts(1))[0]!

/** One that is free for TCP and UDP: a DNS server wants both. */
export const freeDnsPort = async (): Promise<number> => {
  for (;;) {
    const port = await freePort()
    const udp = createSocket("udp4")
    const free = await new Promise<boolean>((resolve) => {
      udp.once("error", () => resolve(false))
      udp.bind(port, "127.0.0.1", () => resolve(true))
    })
    udp.close()
    if (free) return port
  }
}
