/** One HTTPS request through the sandbox's edge, verified against the test authority's roots, as a visitor of the hostname makes it. */
import { readFileSync } from "node:fs"
import { request } from "node:https"
import type { TLSSocket } from "node:tls"
import type { SandboxState } from "./StateFile.ts"

export interface EdgeAnswer {
  readonly status: number
  readonly body: string
  readonly protocol: string
  readonly issuer: string
  readonly serial: string
  readonly millis: number
}

export const edgeRequest = (state: SandboxState, hostname: string, path: string): Promise<EdgeAnswer> =>
  new Promise((resolve, reject) => {
    const began = Date.now()
    const { hostname: address, port } = new URL(state.edge_https)
    const call = request(
      {
        host: address,
        port,
        path,
        servername: hostname,
        headers: { host: hostname },
        ca: readFileSync(state.acme.root_ca),
        agent: false,
        timeout: 10_000
      },
      (response) => {
        const socket = response.socket as TLSSocket
        const certificate = socket.getPeerCertificate()
        const parts: Array<Buffer> = []
        response.on("data", (part: Buffer) => parts.push(part))
        response.on("end", () =>
          resolve({
            status: response.statusCode ?? 0,
            body: Buffer.concat(parts).toString("utf8"),
            protocol: socket.getProtocol() ?? "",
            issuer: String(certificate.issuer?.CN ?? ""),
            serial: String(certificate.serialNumber ?? "").toLowerCase(),
            millis: Date.now() - began
          })
        )
        response.on("error", reject)
      }
    )
    call.on("timeout", () => call.destroy(new Error("the edge gave no answer within 10 s")))
    call.on("error", reject)
    call.end()
  })
