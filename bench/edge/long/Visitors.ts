/**
 * Clients of an edge under load that count every answer.
 *
 * Owns: a steady rate over keep-alive HTTP/1.1, HTTP/2 and new connections; the verdict on each request. What a client may repeat is what HTTP
 * permits, once: an idempotent request on a kept connection that closed before a byte of its answer came (RFC 9110 §9.2.2, RFC 9112 §9.3.1), and an
 * HTTP/2 request that GOAWAY or REFUSED_STREAM says was not processed (RFC 9113 §6.8, §8.7). Everything else is a failure: a connection that is
 * refused or reset, a handshake that fails, another status, another tenant's body, silence.
 */
import { type ClientHttp2Session, connect as connectHttp2 } from "node:http2"
import { connect as connectTls, type TLSSocket } from "node:tls"

export interface VisitorsOptions {
  readonly port: number
  readonly ca: string
  /** Picks a name to ask for. */
  readonly name: () => string
  /** Whether `body` is a right answer for `host`; asked when the request began was `began` (milliseconds, performance.now). */
  readonly right: (host: string, body: string, began: number) => boolean
  /** Requests per second; one that can't be begun in time begins late, none is left out. */
  readonly rate: number
}

const silenceMillis = 10_000
const maxKept = 256
/** As of a client with a bounded pool: what comes meanwhile waits for its turn, and is not left out. */
const maxInFlight = 128
const perSession = 32

class Repeatable extends Error {}

export class Visitors {
  readonly latencies: Array<number> = []
  readonly failures = new Map<string, number>()
  readonly examples: Array<string> = []
  served = 0
  wrong = 0
  repeated = 0
  /** By way: kept, new, http2. */
  readonly ways = { kept: 0, new: 0, http2: 0 }
  private readonly options: VisitorsOptions
  private readonly idle = new Map<string, Array<TLSSocket>>()
  private readonly sessions = new Map<string, { readonly session: ClientHttp2Session; open: number }>()
  private kept = 0
  private inFlight = 0
  private stopped = false

  constructor(options: VisitorsOptions) {
    this.options = options
  }

  /** Runs until `stop`; resolves when the last answer is in. */
  async run(): Promise<void> {
    const began = performance.now()
    for (let due = 0; !this.stopped; ) {
      const wanted = ((performance.now() - began) / 1000) * this.options.rate
      while (due < wanted && this.inFlight < maxInFlight) {
        due++
        void this.visit(due)
      }
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
    while (this.inFlight > 0) await new Promise((resolve) => setTimeout(resolve, 5))
    for (const sockets of this.idle.values()) for (const socket of sockets) socket.destroy()
    for (const { session } of this.sessions.values()) session.destroy()
  }

  stop(): void {
    this.stopped = true
  }

  private async visit(count: number): Promise<void> {
    this.inFlight++
    const host = this.options.name()
    const began = performance.now()
    // Of twenty: fourteen on kept connections, five over HTTP/2, one on a connection of its own (a POST every other time).
    const way = count % 20 === 0 ? "new" : count % 20 <= 5 ? "http2" : "kept"
    this.ways[way]++
    try {
      const body = await this.ask(way, host, count % 40 === 0)
      if (this.options.right(host, body, began)) this.served++
      else {
        this.wrong++
        this.note(`wrong answer for ${host}: ${body}`)
      }
    } catch (error) {
      const reason = `${way}: ${(error as NodeJS.ErrnoException).code ?? (error as Error).message}`
      this.failures.set(reason, (this.failures.get(reason) ?? 0) + 1)
      this.note(`${reason} (${host}) ${(error as Error).message}`)
    }
    this.latencies.push(performance.now() - began)
    this.inFlight--
  }

  private note(text: string): void {
    if (this.examples.length < 20) this.examples.push(`${new Date().toISOString()} ${text}`)
  }

  private async ask(way: "kept" | "new" | "http2", host: string, post: boolean): Promise<string> {
    if (way === "new") return this.onNew(host, post, false)
    try {
      return await (way === "http2" ? this.onHttp2(host) : this.onKept(host))
    } catch (error) {
      if (!(error instanceof Repeatable)) throw error
      this.repeated++
      return way === "http2" ? this.onHttp2(host) : this.onNew(host, false, true)
    }
  }

  private onKept(host: string): Promise<string> {
    const sockets = this.idle.get(host)
    for (let socket = sockets?.pop(); socket !== undefined; socket = sockets?.pop()) {
      this.kept--
      if (!socket.destroyed && !socket.readableEnded) return this.exchange(socket, host, { post: false, keep: true, used: true })
    }
    return this.onNew(host, false, true)
  }

  private async onNew(host: string, post: boolean, keep: boolean): Promise<string> {
    const { ca, port } = this.options
    const socket = connectTls({ host: "127.0.0.1", port, servername: host, ca, ALPNProtocols: ["http/1.1"] })
    await new Promise<void>((resolve, reject) => {
      socket.once("secureConnect", resolve).once("error", reject)
      socket.once("close", () => reject(new Error("closed in the handshake")))
      socket.setTimeout(silenceMillis, () => socket.destroy(new Error("silent handshake")))
    })
    return this.exchange(socket, host, { post, keep, used: false })
  }

  private exchange(socket: TLSSocket, host: string, how: { post: boolean; keep: boolean; used: boolean }): Promise<string> {
    socket.removeAllListeners()
    return new Promise((resolve, reject) => {
      let text = ""
      const fail = (error: Error) => {
        socket.destroy()
        reject(how.used && text === "" ? new Repeatable(error.message) : error)
      }
      socket.on("error", fail)
      socket.on("close", () => fail(new Error(text === "" ? "closed before an answer" : "closed in the middle of an answer")))
      socket.setTimeout(silenceMillis, () => fail(new Error("silence")))
      socket.on("data", (piece: Buffer) => {
        text += piece.toString("latin1")
        const end = text.indexOf("\r\n\r\n")
        const length = Number(/\r\ncontent-length: ([0-9]+)/i.exec(text)?.[1] ?? 0)
        if (end < 0 || text.length < end + 4 + length) return
        socket.removeAllListeners()
        socket.on("error", () => {})
        const close = /\r\nconnection: close\r\n/i.test(text.slice(0, end + 2))
        if (close || !how.keep || this.kept >= maxKept) socket.destroy()
        else this.keep(socket, host)
        if (text.startsWith("HTTP/1.1 200 ")) resolve(text.slice(end + 4))
        else reject(new Error(text.slice(9, 12)))
      })
      const about = `Host: ${host}\r\n${how.keep ? "" : "Connection: close\r\n"}`
      socket.write(how.post ? `POST / HTTP/1.1\r\n${about}Content-Length: 4\r\n\r\nbody` : `GET / HTTP/1.1\r\n${about}\r\n`)
    })
  }

  private keep(socket: TLSSocket, host: string): void {
    this.kept++
    const sockets = this.idle.get(host) ?? []
    this.idle.set(host, sockets)
    sockets.push(socket)
    socket.once("close", () => {
      const at = sockets.indexOf(socket)
      if (at < 0) return
      sockets.splice(at, 1)
      this.kept--
    })
    socket.resume()
  }

  private session(host: string): { readonly session: ClientHttp2Session; open: number } {
    const known = this.sessions.get(host)
    if (known !== undefined && !known.session.closed && !known.session.destroyed && known.open < perSession) return known
    const session = connectHttp2(`https://127.0.0.1:${this.options.port}`, { servername: host, ca: this.options.ca })
    const entry = { session, open: 0 }
    this.sessions.set(host, entry)
    const forget = () => {
      if (this.sessions.get(host) === entry) this.sessions.delete(host)
    }
    session.on("error", forget).on("goaway", forget).on("close", forget)
    return entry
  }

  private onHttp2(host: string): Promise<string> {
    const entry = this.session(host)
    const { session } = entry
    return new Promise((resolve, reject) => {
      let [status, body] = [0, ""]
      let failed: Error | undefined
      const stream = session.request({ ":path": "/", ":authority": host })
      entry.open++
      stream.setTimeout(silenceMillis, () => stream.destroy(new Error("silence")))
      stream.on("response", (fields) => {
        status = Number(fields[":status"])
      })
      stream.on("data", (piece) => {
        body += piece
      })
      stream.on("error", (error) => {
        failed = error
      })
      stream.on("close", () => {
        entry.open--
        const code = (failed as NodeJS.ErrnoException | undefined)?.code ?? ""
        if (status === 200 && failed === undefined && stream.rstCode === 0) return resolve(body)
        // Never sent, or said to be unprocessed: it may be repeated.
        const unprocessed = stream.rstCode === 7 || /ERR_HTTP2_(GOAWAY_SESSION|INVALID_SESSION)/.test(code)
        const reason = failed ?? new Error(`status ${status}, reset ${stream.rstCode}`)
        reject(status === 0 && unprocessed ? new Repeatable(reason.message) : reason)
      })
    })
  }
}
