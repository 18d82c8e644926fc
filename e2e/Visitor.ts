/** A visitor of a connected hostname: requests through the edge, over TLS verified with the test authority's roots, or plain. */
import { readFileSync } from "node:fs"
import { request as plainRequest } from "node:http"
import { Agent, type RequestOptions, request } from "node:https"
import type { TLSSocket } from "node:tls"
import { state } from "./Stack.ts"

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: string
  readonly issuer: string
  readonly serial: string
}

export interface Echo {
  readonly method: string
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
}

const send = (make: typeof request, options: RequestOptions, body?: string): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const call = make(options, (response) => {
      const parts: Array<Buffer> = []
      const certificate = (response.socket as TLSSocket).getPeerCertificate?.()
      response.on("data", (part: Buffer) => parts.push(part))
      response.on("error", reject)
      response.on("end", () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: Buffer.concat(parts).toString("utf8"),
          issuer: String(certificate?.issuer?.CN ?? ""),
          serial: String(certificate?.serialNumber ?? "").toLowerCase()
        })
      )
    })
    call.on("timeout", () => call.destroy(new Error("no answer")))
    call.on("error", reject)
    call.end(body)
  })

export interface Visit {
  readonly path?: string
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  /** The name in the TLS handshake, when it is to differ from the Host. */
  readonly servername?: string
  readonly agent?: Agent
}

/** HTTPS; rejects when the handshake fails or the certificate does not verify. */
export const visit = (hostname: string, options: Visit = {}): Promise<Answer> => {
  const { edge_https, acme } = state()
  const { hostname: host, port } = new URL(edge_https)
  return send(
    request,
    {
      host,
      port,
      path: options.path ?? "/",
      method: options.method ?? "GET",
      servername: options.servername ?? hostname,
      headers: { host: hostname, ...options.headers },
      ca: readFileSync(acme.root_ca),
      agent: options.agent ?? false,
      timeout: 10_000
    },
    options.body
  )
}

export const visitPlain = (hostname: string, path = "/"): Promise<Answer> => {
  const { hostname: host, port } = new URL(state().edge_http)
  return send(plainRequest as typeof request, { host, port, path, headers: { host: hostname }, agent: false, timeout: 10_000 })
}

export const echoOf = (answer: Answer): Echo => JSON.parse(answer.body) as Echo

/** Requests one after another over one connection until `end` is called; every failure is kept. */
export const keepVisiting = (hostname: string) => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const failures: Array<string> = []
  let count = 0
  let running = true
  const loop = (async () => {
    while (running) {
      try {
        const answer = await visit(hostname, { agent })
        count++
        if (answer.status !== 200) failures.push(`status ${answer.status}`)
      } catch (error) {
        failures.push(String(error))
      }
      await new Promise((resolve) => setTimeout(resolve, 15))
    }
  })()
  return {
    end: async (): Promise<{ readonly count: number; readonly failures: ReadonlyArray<string> }> => {
      running = false
      await loop
      agent.destroy()
      return { count, failures }
    }
  }
}
