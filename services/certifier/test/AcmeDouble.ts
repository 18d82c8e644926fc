/**
 * An ACME server for what Pebble lacks: limits with 429 and Retry-After, 503, issuance that halts, renewal windows of a thousand certificates
 * moved at once, five thousand certificates that are there already. RFC 8555 and RFC 9773 as far as the certifier goes: nonces once, signatures
 * and URLs checked, HTTP-01 asked for at the edge.
 *
 * Owns: the protocol. Leaves to `DoubleIssuer.ts`: certificates; to tests: when it misbehaves. Its HTTPS is under a Pebble's root.
 */
import { randomBytes } from "node:crypto"
import { readFileSync } from "node:fs"
import { get, type IncomingMessage, type ServerResponse } from "node:http"
import { createServer, type Server } from "node:https"
import { dirname, join } from "node:path"
import { DoubleIssuer } from "./DoubleIssuer.ts"
import type { Pebble } from "./Pebble.ts"
import { type Json, Problem, type Refusal, readSigned, type Signed } from "./signedRequest.ts"

interface DoubleOrder {
  readonly id: number
  readonly account: string
  readonly name: string
  readonly replaces: string | undefined
  readonly token: string
  proof: "pending" | "valid" | "invalid"
  status: "pending" | "ready" | "processing" | "valid" | "invalid"
  chain: string | undefined
}

export class AcmeDouble {
  /** What the next new orders get instead of an order. */
  readonly onNewOrder: Array<Refusal> = []
  /** Orders stay `processing` while it is true, as when a CA has halted issuance. */
  halted = false
  /** New orders that replace nothing, at most so many in three hours. */
  limit = Number.POSITIVE_INFINITY
  /** CertIDs whose replacement makes it stumble: HTTP 500. */
  readonly stumblesOn = new Set<string>()
  /** What was asked for although a limit forbade it. */
  violations = 0
  readonly newOrders: Array<{ readonly at: number; readonly name: string; readonly replaces: string | undefined }> = []
  readonly finalized: Array<string> = []
  /** Orders for what was replaced already, or was never ours: name and CertID. */
  readonly refusedReplacements: Array<string> = []
  readonly issuer: DoubleIssuer
  readonly #orders: Array<DoubleOrder> = []
  readonly #accounts = new Map<string, Json>()
  readonly #nonces = new Set<string>()
  readonly #replaced = new Set<string>()
  readonly #httpPort: number
  readonly #server: Server

  private constructor(server: Server, issuer: DoubleIssuer, httpPort: number) {
    this.#server = server
    this.issuer = issuer
    this.#httpPort = httpPort
  }

  static async start(pebble: Pebble): Promise<AcmeDouble> {
    const folder = dirname(pebble.caFile)
    const [cert, key] = ["cert.pem", "key.pem"].map((file) => readFileSync(join(folder, file), "utf8"))
    const server = createServer({ cert, key })
    const double = new AcmeDouble(server, await DoubleIssuer.make(), pebble.httpPort)
    server.on("request", (request, response) => void double.#answer(request, response))
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
    return double
  }

  get base(): string {
    return `https://localhost:${(this.#server.address() as { port: number }).port}`
  }
  get directory(): string {
    return `${this.base}/dir`
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Array<Buffer> = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const send = (status: number, body: unknown, headers: Record<string, string> = {}) => {
      const nonce = randomBytes(12).toString("base64url")
      this.#nonces.add(nonce)
      const type =
        typeof body === "string" ? "application/pem-certificate-chain" : status >= 400 ? "application/problem+json" : "application/json"
      response.writeHead(status, { "replay-nonce": nonce, "content-type": type, ...headers })
      response.end(typeof body === "string" ? body : JSON.stringify(body))
    }
    try {
      await this.#route(request.method ?? "", request.url ?? "", Buffer.concat(chunks).toString(), send)
    } catch (error) {
      if (!(error instanceof Problem)) return send(500, { type: "urn:ietf:params:acme:error:serverInternal", detail: String(error) })
      const { status, retryAfter, type = "malformed", detail = "" } = error.refusal
      send(status, { type: `urn:ietf:params:acme:error:${type}`, detail }, retryAfter === undefined ? {} : { "retry-after": retryAfter })
    }
  }

  async #route(method: string, path: string, body: string, send: Send): Promise<void> {
    const [, place = "", id = ""] = path.split("/")
    if (place === "dir") return send(200, this.#directory())
    if (place === "ari") return this.#renewalInfo(id, send)
    if (place === "nonce" && method === "HEAD") return send(200, {})
    const signed = readSigned(`${this.base}${path}`, body, this.#nonces, this.#accounts)
    const order = this.#orders[Number(id)]
    if (place === "account") return this.#newAccount(signed, send)
    if (place === "order" && id === "") return this.#newOrder(signed, send)
    if (order === undefined) throw new Problem({ status: 404, detail: "no such thing" })
    if (order.account !== signed.account) throw new Problem({ status: 403, type: "unauthorized", detail: "not yours" })
    if (place === "authz") return send(200, this.#authorization(order))
    if (place === "challenge") {
      await this.#prove(order, signed.thumbprint)
      return send(200, this.#challenge(order))
    }
    if (place === "finalize") await this.#finalize(order, String(signed.payload?.csr))
    if (place === "order" && order.status === "processing" && !this.halted) order.status = "valid"
    if (place === "certificate") return send(200, order.chain ?? "")
    send(200, this.#order(order), order.status === "processing" ? { "retry-after": "1" } : {})
  }

  #directory() {
    const { base } = this
    const at = (place: string) => `${base}/${place}`
    return {
      newNonce: at("nonce"),
      newAccount: at("account"),
      newOrder: at("order"),
      renewalInfo: at("ari"),
      meta: { caaIdentities: ["double.example"] }
    }
  }

  #newAccount({ thumbprint, jwk, payload }: Signed, send: Send): void {
    const kid = `${this.base}/account/${thumbprint}`
    if (!this.#accounts.has(kid) && payload?.onlyReturnExisting === true) throw new Problem({ status: 400, type: "accountDoesNotExist" })
    this.#accounts.set(kid, jwk)
    send(201, { status: "valid" }, { location: kid })
  }

  #newOrder({ account, payload }: Signed, send: Send): void {
    const [identifier] = payload!.identifiers as ReadonlyArray<{ readonly value: string }>
    const replaces = payload!.replaces as string | undefined
    const at = Date.now()
    this.newOrders.push({ at, name: identifier!.value, replaces })
    const refusal = this.onNewOrder.shift()
    if (refusal !== undefined) throw new Problem(refusal)
    if (replaces !== undefined && this.stumblesOn.has(replaces)) throw new Problem({ status: 500, type: "serverInternal", detail: "oops" })
    const counted = this.newOrders.filter((each) => each.replaces === undefined && each.at > at - 3 * 3_600_000)
    if (replaces === undefined && counted.length > this.limit) {
      this.violations++
      throw new Problem({ status: 429, type: "rateLimited", retryAfter: "3600", detail: "too many new orders from this account" })
    }
    if (replaces !== undefined && (this.#replaced.has(replaces) || !this.issuer.windows.has(replaces))) {
      this.refusedReplacements.push(`${identifier!.value} ${replaces} ${this.#replaced.has(replaces) ? "replaced" : "unknown"}`)
      throw new Problem({ status: 409, type: "alreadyReplaced", detail: "replaced, or never ours" })
    }
    const token = randomBytes(24).toString("base64url")
    const order: DoubleOrder = {
      id: this.#orders.length,
      account,
      name: identifier!.value,
      replaces,
      token,
      proof: "pending",
      status: "pending",
      chain: undefined
    }
    this.#orders.push(order)
    send(201, this.#order(order), { location: `${this.base}/order/${order.id}` })
  }

  #order({ id, name, status, replaces, chain }: DoubleOrder) {
    const { base } = this
    return {
      status,
      identifiers: [{ type: "dns", value: name }],
      authorizations: [`${base}/authz/${id}`],
      finalize: `${base}/finalize/${id}`,
      ...(replaces === undefined ? {} : { replaces }),
      ...(status === "valid" && chain !== undefined ? { certificate: `${base}/certificate/${id}` } : {})
    }
  }

  #challenge({ id, token, proof }: DoubleOrder) {
    const validated = proof === "valid" ? { validated: new Date().toISOString() } : {}
    const error =
      proof === "invalid" ? { error: { type: "urn:ietf:params:acme:error:unauthorized", detail: "the edge answered something else" } } : {}
    return { type: "http-01", url: `${this.base}/challenge/${id}`, status: proof, token, ...validated, ...error }
  }

  #authorization(order: DoubleOrder) {
    return { identifier: { type: "dns", value: order.name }, status: order.proof, challenges: [this.#challenge(order)] }
  }

  async #prove(order: DoubleOrder, thumbprint: string): Promise<void> {
    const path = `/.well-known/acme-challenge/${order.token}`
    const text = await new Promise<string>((resolve) =>
      get({ host: "127.0.0.1", port: this.#httpPort, path, headers: { host: order.name } }, (reply) => {
        let text = ""
        reply.on("data", (chunk: Buffer) => (text += chunk.toString()))
        reply.on("end", () => resolve(text))
      }).on("error", () => resolve(""))
    )
    order.proof = text === `${order.token}.${thumbprint}` ? "valid" : "invalid"
    order.status = order.proof === "valid" ? "ready" : "invalid"
  }

  async #finalize(order: DoubleOrder, csr: string): Promise<void> {
    if (order.status !== "ready") throw new Problem({ status: 403, type: "orderNotReady" })
    this.finalized.push(order.name)
    order.chain = await this.issuer.sign(csr)
    if (order.replaces !== undefined) this.#replaced.add(order.replaces)
    order.status = this.halted ? "processing" : "valid"
  }

  #renewalInfo(certId: string, send: Send): void {
    const window = this.issuer.windows.get(certId)
    if (window === undefined) throw new Problem({ status: 404, detail: "no such certificate" })
    const suggestedWindow = { start: new Date(window.start).toISOString(), end: new Date(window.end).toISOString() }
    send(200, { suggestedWindow }, { "retry-after": "21600" })
  }
}

type Send = (status: number, body: unknown, headers?: Record<string, string>) => void
