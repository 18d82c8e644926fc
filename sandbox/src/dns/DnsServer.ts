/**
 * The sandbox's DNS server: UDP and TCP on one port.
 *
 * Owns: sockets, message framing, EDNS and truncation, and misbehaving on request (`faults`). Leaves to answerQuestion what is said. Built
 * against packets that are not DNS: whatever comes in, the server goes on.
 */
import { createSocket, type Socket as UdpSocket } from "node:dgram"
import { once } from "node:events"
import { createServer, type Server, type Socket } from "node:net"
import {
  AUTHORITATIVE_ANSWER,
  type DecodedPacket,
  decode,
  encode,
  type Packet,
  RECURSION_AVAILABLE,
  RECURSION_DESIRED,
  TRUNCATED_RESPONSE
} from "dns-packet"
import { answerQuestion } from "./answerQuestion.ts"
import type { ZoneStore } from "./ZoneStore.ts"

/** What the server does instead of answering for a name and everything below it. */
export type Fault = "servfail" | "refused" | "silent" | "truncate"
const FORMERR = 1
const SERVFAIL = 2
const NOTIMP = 4
const REFUSED = 5
const BADVERS = 16
/** Fits every path without fragments (DNS flag day 2020). */
const largestUdp = 1232

export class DnsServer {
  readonly faults = new Map<string, Fault>()
  readonly #store: ZoneStore
  readonly #connections = new Set<Socket>()
  #udp: UdpSocket | undefined
  #tcp: Server | undefined

  constructor(store: ZoneStore) {
    this.#store = store
  }

  /** Listens on both; port 0 takes a port that is free for both. Returns the port. */
  async listen(host: string, port: number): Promise<number> {
    const tcp = createServer((socket) => this.#serveTcp(socket))
    tcp.listen(port, host)
    await once(tcp, "listening")
    const taken = (tcp.address() as { port: number }).port
    const udp = createSocket(host.includes(":") ? "udp6" : "udp4")
    udp.on("message", (message, peer) => {
      const reply = this.#reply(message, "udp")
      if (reply) udp.send(reply, peer.port, peer.address)
    })
    this.#tcp = tcp
    this.#udp = udp
    udp.bind({ port: taken, address: host })
    await once(udp, "listening")
    udp.on("error", (error) => console.error(`dns: ${error.message}`))
    udp.setRecvBufferSize(4 * 1024 * 1024)
    return taken
  }

  async close(): Promise<void> {
    for (const socket of this.#connections) socket.destroy()
    this.#udp?.close()
    if (this.#tcp) await new Promise((resolve) => this.#tcp?.close(resolve))
  }

  #serveTcp(socket: Socket): void {
    let held = Buffer.alloc(0)
    this.#connections.add(socket)
    socket.setTimeout(10_000, () => socket.destroy())
    socket.on("close", () => this.#connections.delete(socket))
    socket.on("error", () => socket.destroy())
    socket.on("data", (chunk) => {
      held = Buffer.concat([held, chunk])
      while (held.length >= 2 && held.length >= 2 + held.readUInt16BE(0)) {
        const end = 2 + held.readUInt16BE(0)
        const reply = this.#reply(held.subarray(2, end), "tcp")
        held = held.subarray(end)
        if (!reply) continue
        const length = Buffer.alloc(2)
        length.writeUInt16BE(reply.length)
        socket.write(Buffer.concat([length, reply]))
      }
    })
  }

  #reply(message: Buffer, transport: "udp" | "tcp"): Buffer | undefined {
    const query = parse(message)
    if (query === undefined) return message.length >= 12 && (message[2]! & 0x80) === 0 ? bare(message, FORMERR) : undefined
    if (query.type === "response") return undefined
    const question = query.questions?.[0]
    const opcode = ((query.flags ?? 0) >> 11) & 15
    if (opcode !== 0 || !question || query.questions?.length !== 1) return bare(message, opcode === 0 ? FORMERR : NOTIMP)
    const name = question.name === "." ? "." : `${question.name}.`
    const fault = this.#faultAt(name.toLowerCase())
    if (fault === "silent") return undefined
    const edns = query.additionals?.find((record) => record.type === "OPT")
    const failed = fault === "servfail" ? SERVFAIL : fault === "refused" ? REFUSED : undefined
    const answer =
      failed === undefined
        ? answerQuestion(this.#store, name, question.type)
        : { rcode: failed, authoritative: false, answers: [], authorities: [] }
    const badVersion = edns?.type === "OPT" && edns.ednsVersion > 0
    const reply: Packet = {
      id: query.id ?? 0,
      type: "response",
      flags:
        ((query.flags ?? 0) & RECURSION_DESIRED) |
        RECURSION_AVAILABLE |
        (answer.authoritative ? AUTHORITATIVE_ANSWER : 0) |
        (badVersion ? 0 : answer.rcode),
      questions: [question],
      answers: badVersion ? [] : [...answer.answers],
      authorities: badVersion ? [] : [...answer.authorities],
      additionals: edns
        ? [
            {
              type: "OPT",
              name: ".",
              udpPayloadSize: largestUdp,
              extendedRcode: badVersion ? BADVERS >> 4 : 0,
              ednsVersion: 0,
              flags: 0,
              flag_do: false,
              options: []
            }
          ]
        : []
    }
    const limit = transport === "tcp" ? 65_535 : edns?.type === "OPT" ? Math.min(Math.max(edns.udpPayloadSize, 512), largestUdp) : 512
    const whole = encode(reply)
    if (whole.length <= limit && !(fault === "truncate" && transport === "udp")) return whole
    return encode({ ...reply, flags: (reply.flags ?? 0) | TRUNCATED_RESPONSE, answers: [], authorities: [] })
  }

  #faultAt(name: string): Fault | undefined {
    if (this.faults.size === 0) return undefined
    for (const [at, fault] of this.faults) if (at === "." || name === at || name.endsWith(`.${at}`)) return fault
    return undefined
  }
}

const parse = (message: Buffer): DecodedPacket | undefined => {
  try {
    return decode(message)
  } catch {
    return undefined
  }
}

/** The query's header turned round, with nothing but a response code. */
const bare = (message: Buffer, rcode: number): Buffer => {
  const header = Buffer.alloc(12)
  message.copy(header, 0, 0, 4)
  header[2] = message[2]! | 0x80
  header[3] = rcode
  return header
}
