/** One question over one TCP connection (RFC 7766): for answers that did not fit into a datagram. Time limits are the caller's. */
import { randomInt } from "node:crypto"
import { connect } from "node:net"
import { decodeReply, encodeQuery, type QueryOptions, type Question, type Reply } from "./message.ts"
import type { Peer } from "./udpExchange.ts"

/** `done` is called once, unless the returned function stopped the exchange before. */
export const tcpExchange = (peer: Peer, question: Question, options: QueryOptions, done: (result: Reply | Error) => void): (() => void) => {
  const id = randomInt(65_536)
  const socket = connect({ host: peer.address, port: peer.port })
  let held = Buffer.alloc(0)
  let open = true
  const settle = (result: Reply | Error) => {
    socket.destroy()
    if (!open) return
    open = false
    done(result)
  }
  socket.on("connect", () => {
    const query = encodeQuery(id, question, options)
    const length = Buffer.alloc(2)
    length.writeUInt16BE(query.length)
    socket.write(Buffer.concat([length, query]))
  })
  socket.on("data", (chunk) => {
    held = Buffer.concat([held, chunk])
    if (held.length < 2 || held.length < 2 + held.readUInt16BE(0)) return
    settle(decodeReply(held.subarray(2, 2 + held.readUInt16BE(0)), id, question) ?? new Error("an answer to another question"))
  })
  socket.on("error", settle)
  socket.on("close", () => settle(new Error("connection closed without an answer")))
  return () => {
    open = false
    socket.destroy()
  }
}
