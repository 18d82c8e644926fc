/** Starts a small HTTP server at the address that an environment variable holds, and ends it on SIGTERM. */
import type { Server } from "node:http"

export const listenOn = (server: Server, variable: string): void => {
  const [, host, port] = /^(.+):(\d+)$/.exec(process.env[variable] ?? "") ?? []
  if (host === undefined) throw new Error(`${variable} must be host:port`)
  server.listen(Number(port), host, () => console.log(JSON.stringify({ level: "INFO", message: "listening", address: `${host}:${port}` })))
  const end = () => {
    server.close(() => process.exit(0))
    server.closeAllConnections()
  }
  process.once("SIGTERM", end)
  process.once("SIGINT", end)
}
