/**
 * Questions over UDP through a few sockets with ports of the system's choosing.
 *
 * Owns: sockets, ids, and giving each datagram to the question that it answers: same socket, same peer, same id, same question. Leaves
 * time limits, TCP and bounds to `DnsTransport`. Built against forged answers (RFC 5452): random ids and ports, sockets that are replaced
 * after a while; and against the cost of a socket for each of ten thousand questions.
 */
import { randomInt } from "node:crypto"
import { createSocket, type Socket } from "node:dgram"
import { decodeReply, encodeQuery, type QueryOptions, type Question, type Reply } from "./message.ts"

export type Peer = { readonly address: string; readonly port: number }
type Pending = { readonly peer: Peer; readonly question: Question; readonly done: (result: Reply | Error) => void }
type Channel = { readonly socket: Socket; readonly pending: Map<number, Pending>; uses: number; retired: boolean }

const channelsPerFamily = 8
/** After this many questions a socket makes room for one with another port. */
const usesOfASocket = 2_000
const noLookup = (host: string, family: 4 | 6) => (_: string, __: unknown, done: (error: null, address: string, family: number) => void) =>
  done(null, host, family)

export class UdpExchange {
  readonly #channels: Record<4 | 6, Array<Channel | undefined>> = { 4: [], 6: [] }

  /** Sends one question; `done` is called at most once, with the reply or the socket's error. Returns how to stop listening. */
  ask(peer: Peer, question: Question, options: QueryOptions, done: (result: Reply | Error) => void): () => void {
    const channel = this.#channel(peer.address.includes(":") ? 6 : 4)
    let id = randomInt(65_536)
    while (channel.pending.has(id)) id = (id + 1) & 0xffff
    const finish = () => {
      channel.pending.delete(id)
      if (channel.pending.size === 0 && !channel.retired) channel.socket.unref()
      if (channel.retired && channel.pending.size === 0) closeQuietly(channel.socket)
    }
    const settle = (result: Reply | Error) => {
      if (!channel.pending.has(id)) return
      finish()
      done(result)
    }
    channel.pending.set(id, { peer, question, done: settle })
    channel.socket.ref()
    channel.socket.send(encodeQuery(id, question, options), peer.port, peer.address, (error) => {
      if (error) settle(error)
    })
    return () => {
      if (channel.pending.has(id)) finish()
    }
  }

  close(): void {
    for (const channel of [...this.#channels[4], ...this.#channels[6]]) if (channel) closeQuietly(channel.socket)
    this.#channels[4] = []
    this.#channels[6] = []
  }

  #channel(family: 4 | 6): Channel {
    const channels = this.#channels[family]
    const at = randomInt(channelsPerFamily)
    const current = channels[at]
    if (current && current.uses++ < usesOfASocket) return current
    if (current) {
      current.retired = true
      if (current.pending.size === 0) closeQuietly(current.socket)
    }
    const made = this.#open(family)
    channels[at] = made
    return made
  }

  #open(family: 4 | 6): Channel {
    const any = family === 4 ? "0.0.0.0" : "::"
    const socket = createSocket({
      type: family === 4 ? "udp4" : "udp6",
      lookup: (host, options, done) => noLookup(host === "" ? any : host, family)(host, options, done as never)
    })
    const channel: Channel = { socket, pending: new Map(), uses: 1, retired: false }
    socket.on("message", (bytes, from) => {
      const pending = bytes.length < 12 ? undefined : channel.pending.get(bytes.readUInt16BE(0))
      if (!pending || from.address !== pending.peer.address || from.port !== pending.peer.port) return
      const reply = decodeReply(bytes, bytes.readUInt16BE(0), pending.question)
      if (reply) pending.done(reply)
    })
    socket.on("error", (error) => {
      channel.retired = true
      this.#channels[family] = this.#channels[family].map((other) => (other === channel ? undefined : other))
      for (const pending of [...channel.pending.values()]) pending.done(error)
      closeQuietly(socket)
    })
    return channel
  }
}

const closeQuietly = (socket: Socket): void => {
  try {
    socket.close()
  } catch {
    // closed already
  }
}
