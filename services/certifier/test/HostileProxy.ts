/**
 * Stands between the certifier and a real Pebble and misbehaves on request, in the ways Pebble can't: 429 and 503 with Retry-After.
 *
 * The Host header goes through unchanged, so the URLs that Pebble hands out lead back here.
 */
import { readFileSync } from "node:fs"
import { createServer, request, type Server } from "node:https"
import { dirname, join } from "node:path"
import type { Pebble } from "./Pebble.ts"
import type { Refusal } from "./signedRequest.ts"

export class HostileProxy {
  /** What the next new order gets instead of Pebble's answer. */
  readonly onNewOrder: Array<Refusal> = []
  /** Milliseconds since the epoch of every new order that arrived. */
  readonly newOrders: Array<number> = []
  readonly #server: Server

  private constructor(server: Server) {
    this.#server = server
  }

  static async start(pebble: Pebble): Promise<HostileProxy> {
    const folder = dirname(pebble.caFile)
    const [cert, key, ca] = ["cert.pem", "key.pem", "root.pem"].map((file) => readFileSync(join(folder, file), "utf8"))
    const server = createServer({ cert, key })
    const proxy = new HostileProxy(server)
    const target = new URL(pebble.directory)
    server.on("request", (incoming, outgoing) => {
      if (incoming.url === "/order-plz") {
        proxy.newOrders.push(Date.now())
        const answer = proxy.onNewOrder.shift()
        if (answer !== undefined) {
          incoming.resume()
          const { status, retryAfter, type = "rateLimited", detail = "slow down" } = answer
          outgoing.writeHead(status, { "content-type": "application/problem+json", ...(retryAfter && { "retry-after": retryAfter }) })
          return void outgoing.end(JSON.stringify({ type: `urn:ietf:params:acme:error:${type}`, detail }))
        }
      }
      const { hostname, port } = target
      const upstream = request(
        { hostname, port, ca, path: incoming.url, method: incoming.method, headers: incoming.headers, setHost: false },
        (response) => {
          outgoing.writeHead(response.statusCode ?? 502, response.headers)
          response.pipe(outgoing)
        }
      )
      upstream.on("error", () => outgoing.destroy())
      incoming.pipe(upstream)
    })
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
    return proxy
  }

  get directory(): string {
    return `https://localhost:${(this.#server.address() as { port: number }).port}/dir`
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}
