/**
 * Clients that take their time, on purpose (requirement E8): the attacks of slowhttptest and a few that it does not know.
 *
 * Owns: opening many sockets that each do one thing slowly, and telling when the edge has got rid of all of them. Leaves to the tests: how many, and what
 * everybody else must still get. Loopback only.
 */
import { connect as connectTcp, type Socket } from "node:net"
import { connect as connectTls } from "node:tls"

export interface SlowTarget {
  readonly https: number
  /** A name that the edge serves; `path` must give a large answer for `read`. */
  readonly host: string
  readonly path?: string
  /** Between two bytes of what is sent slowly. */
  readonly everyMillis?: number
  /** The attackers' own address, for floods from several clients (127.0.0.0/8). */
  readonly localAddress?: string
}

/**
 * `silent`: connects and says nothing. `hello`: half a ClientHello. `headers` (slowloris): a head that never ends. `body`: a body byte by byte. `read`: asks for
 * much and takes nothing. `idle`: a handshake and nothing more.
 */
export const slowKinds = ["silent", "hello", "headers", "body", "read", "idle"] as const
export type SlowKind = (typeof slowKinds)[number]

const heads = (target: SlowTarget) => ({
  headers: `GET ${target.path ?? "/"} HTTP/1.1\r\nHost: ${target.host}\r\n`,
  body: `POST ${target.path ?? "/"} HTTP/1.1\r\nHost: ${target.host}\r\nContent-Length: 1000000\r\n\r\n`,
  read: `GET ${target.path ?? "/"} HTTP/1.1\r\nHost: ${target.host}\r\n\r\n`
})

/** The beginning of a TLS record that promises 512 bytes of ClientHello. */
const halfHello = Buffer.from([22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3])

export class SlowClients {
  private readonly sockets = new Set<Socket>()
  private readonly timers = new Set<NodeJS.Timeout>()
  private done: () => void = () => {}
  /** Those that the edge has closed. */
  ended = 0

  get open(): number {
    return this.sockets.size
  }

  /** Resolves once all of them are connected, with a finished handshake where the kind has one, or were refused. */
  async start(kind: SlowKind, count: number, target: SlowTarget): Promise<void> {
    await Promise.all(Array.from({ length: count }, () => this.one(kind, target)))
  }

  private one(kind: SlowKind, target: SlowTarget): Promise<void> {
    const { host, https: port, localAddress, everyMillis = 200 } = target
    const raw = connectTcp({ host: "127.0.0.1", port, ...(localAddress === undefined ? {} : { localAddress }) })
    const plain = kind === "silent" || kind === "hello"
    const socket = plain ? raw : connectTls({ socket: raw, servername: host, rejectUnauthorized: false })
    this.sockets.add(raw)
    return new Promise((resolve) => {
      const gone = () => {
        if (this.sockets.delete(raw)) this.ended++
        resolve()
        if (this.sockets.size === 0) this.done()
      }
      for (const one of new Set([raw, socket])) one.on("error", () => {}).on("close", gone)
      socket.once(plain ? "connect" : "secureConnect", () => {
        this.act(kind, socket, target, everyMillis)
        resolve()
      })
    })
  }

  private act(kind: SlowKind, socket: Socket, target: SlowTarget, everyMillis: number): void {
    if (kind === "read") socket.pause()
    else socket.resume()
    socket.on("end", () => socket.destroy())
    if (kind === "hello") socket.write(halfHello)
    if (kind === "read") socket.write(heads(target).read)
    if (kind !== "headers" && kind !== "body") return
    socket.write(heads(target)[kind])
    const timer = setInterval(() => socket.writable && socket.write(kind === "headers" ? "X-a: b\r\n" : "b"), everyMillis)
    this.timers.add(timer)
    socket.once("close", () => clearInterval(timer))
  }

  /** Resolves when the edge has closed every one. */
  allGone(): Promise<void> {
    return this.sockets.size === 0
      ? Promise.resolve()
      : new Promise((resolve) => {
          this.done = resolve
        })
  }

  stop(): void {
    for (const timer of this.timers) clearInterval(timer)
    for (const socket of this.sockets) socket.destroy()
  }
}
