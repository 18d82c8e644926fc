/**
 * The echo origin: answers any method and path with 200 and what it received, after it has read the whole body.
 *
 * Listens on CD_ORIGIN_LISTEN (host:port). Speaks WebSocket's opening refusal only: an `Upgrade` request is answered like any other.
 */
import { createServer } from "node:http"
import { listenOn } from "./listenOn.ts"

const server = createServer((request, response) => {
  request.resume()
  request.on("end", () => {
    const body = JSON.stringify({ method: request.method, url: request.url, headers: request.headers })
    response.writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(body) })
    response.end(request.method === "HEAD" ? undefined : body)
  })
})
server.keepAliveTimeout = 60_000
server.requestTimeout = 0

listenOn(server, "CD_ORIGIN_LISTEN")
