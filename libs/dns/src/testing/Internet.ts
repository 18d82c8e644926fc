/**
 * A small internet for tests: servers at made-up public addresses, each a real socket on 127.0.0.1 with records and faults of its own.
 *
 * Owns: serving what it is told, referrals included, and counting questions. The walk's addresses are public ones, so the address policy is
 * the real one. It is not a model DNS server: an answer is exactly what the test says.
 */
import { createSocket, type Socket } from "node:dgram"
import { once } from "node:events"
import { createServer, type Server } from "node:net"
import { makeAddressPolicy } from "@connect-domain/egress/AddressPolicy.ts"
import { type Answer, decode, encode, type Question } from "dns-packet"
import type { DnsSettings } from "../DnsSettings.ts"

export type Said = {
  readonly rcode?: number
  readonly aa?: boolean
  readonly answers?: ReadonlyArray<Answer>
  readonly authorities?: ReadonlyArray<Answer>
  readonly additionals?: ReadonlyArray<Answer>
  /** By UDP only: says that the answer did not fit. */
  readonly truncate?: boolean
}
/** `silent`: no answer. `noEdns`: FORMERR when the question has an OPT record. `garbage`: bytes that are no answer, then the answer. */
export type Behaviour = (question: Question, via: "udp" | "tcp") => Said | "silent" | "noEdns" | "garbage"

const bytesOf = (message: Buffer, behaviour: Behaviour, via: "udp" | "tcp"): ReadonlyArray<Buffer> => {
  const query = decode(message)
  const question = query.questions![0]!
  const said = behaviour(question, via)
  if (said === "silent") return []
  const reply = ({ rcode = 0, aa = true, answers = [], authorities = [], additionals = [], truncate = false }: Said, id = query.id!) => {
    const cut = truncate && via === "udp"
    return encode({
      type: "response",
      id,
      flags: rcode | (aa ? 1 << 10 : 0) | (cut ? 1 << 9 : 0),
      questions: [question],
      answers: cut ? [] : [...answers],
      authorities: [...authorities],
      additionals: [...additionals]
    })
  }
  if (said === "noEdns")
    return [(query.additionals ?? []).length > 0 ? reply({ rcode: 1, aa: false }) : reply({ answers: [a(question.name, "192.0.2.77")] })]
  if (said === "garbage") {
    const forged = reply({ answers: [a(question.name, "192.0.2.66")] }, (query.id! + 1) & 0xffff)
    const other = encode({
      type: "response",
      id: query.id!,
      flags: 1 << 10,
      questions: [{ name: "other.example", type: "A" }],
      answers: [a(question.name, "192.0.2.66")]
    })
    return [Buffer.from("no"), forged, other, reply({ answers: [a(question.name, "192.0.2.77")] })]
  }
  return [reply(said)]
}

export class Internet {
  readonly #peers = new Map<string, { readonly port: number; readonly udp: Socket; readonly tcp: Server }>()
  #validator: string | undefined
  /** `address type name`, in the order asked. */
  readonly questions: Array<string> = []

  async add(address: string, behaviour: Behaviour): Promise<void> {
    const heard = (message: Buffer, via: "udp" | "tcp") => {
      const question = decode(message).questions![0]!
      this.questions.push(`${address} ${question.type} ${question.name}`)
      return bytesOf(message, behaviour, via)
    }
    const tcp = createServer((socket) => {
      socket.on("error", () => {})
      socket.on("data", (chunk) => {
        for (const reply of heard(chunk.subarray(2), "tcp")) {
          const length = Buffer.alloc(2)
          length.writeUInt16BE(reply.length)
          socket.write(Buffer.concat([length, reply]))
        }
      })
    }).listen(0, "127.0.0.1")
    await once(tcp, "listening")
    const { port } = tcp.address() as { port: number }
    const udp = createSocket("udp4", (message, from) => {
      for (const reply of heard(message, "udp")) udp.send(reply, from.port, from.address)
    })
    udp.bind(port, "127.0.0.1")
    await once(udp, "listening")
    this.#peers.set(address, { port, udp, tcp })
  }

  /** From now on settings name this server as the validating resolver. */
  validateWith(address: string): void {
    this.#validator = address
  }

  settings(root: string): DnsSettings {
    return {
      override: undefined,
      validator: this.#validator === undefined ? undefined : { address: "127.0.0.1", port: this.#peers.get(this.#validator)!.port },
      roots: [{ name: "root.example", addresses: [root] }],
      route: (address) => ({ address: "127.0.0.1", port: this.#peers.get(address)?.port ?? 9 }),
      policy: makeAddressPolicy([])
    }
  }

  close(): void {
    for (const { udp, tcp } of this.#peers.values()) {
      udp.close()
      tcp.close()
    }
  }
}

export const a = (name: string, data: string): Answer => ({ name, type: "A", class: "IN", ttl: 60, data })
export const ns = (name: string, data: string, ttl = 60): Answer => ({ name, type: "NS", class: "IN", ttl, data })
export const cname = (name: string, data: string): Answer => ({ name, type: "CNAME", class: "IN", ttl: 60, data })
export const txt = (name: string, ...data: ReadonlyArray<string>): Answer => ({ name, type: "TXT", class: "IN", ttl: 60, data: [...data] })
export const soa = (name: string): Answer => ({
  name: name === "" ? "." : name,
  type: "SOA",
  class: "IN",
  ttl: 60,
  data: { mname: "ns.example", rname: "h.example", serial: 1, refresh: 1, retry: 1, expire: 1, minimum: 5 }
})

/** Hands every name below one of `cuts` to its servers; `cuts`: zone → server name → glue (null: none). */
export const parentOf =
  (zone: string, cuts: Readonly<Record<string, Readonly<Record<string, string | null>>>>): Behaviour =>
  (question) => {
    const cut = Object.keys(cuts).find((name) => question.name === name || question.name.endsWith(`.${name}`))
    if (cut === undefined) return { rcode: question.name === zone ? 0 : 3, authorities: [soa(zone)] }
    const servers = Object.entries(cuts[cut]!)
    return {
      aa: false,
      authorities: servers.map(([server]) => ns(cut, server)),
      additionals: servers.flatMap(([server, glue]) => (glue === null ? [] : [a(server, glue)]))
    }
  }

/** A zone with exactly these records. */
export const zoneOf =
  (zone: string, records: ReadonlyArray<Answer>): Behaviour =>
  (question) => {
    const here = [soa(zone), ...records].filter((record) => record.name === question.name)
    const answers = here.filter((record) => record.type === question.type || record.type === "CNAME")
    if (answers.length > 0) return { answers }
    return { rcode: here.length > 0 || question.name === zone ? 0 : 3, authorities: [soa(zone)] }
  }
