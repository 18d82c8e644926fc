/**
 * A connection to an origin that begins with a PROXY header: in front of TLS, too.
 *
 * Owns: header first, handshake second. Leaves to libs/egress: resolving and the address check, which come before a byte is sent.
 */
import { isIP, type Socket } from "node:net"
import { type ConnectionOptions, connect as connectTls } from "node:tls"
import type { AddressPolicy } from "@connect-domain/egress/AddressPolicy.ts"
import { type ConnectTarget, checkedConnect } from "@connect-domain/egress/checkedConnect.ts"
import { EgressError } from "@connect-domain/egress/EgressError.ts"

export interface ProxiedTarget extends ConnectTarget {
  readonly preface: Buffer
}

type Done = (error: EgressError | null, socket: Socket | null) => void

const secure = (socket: Socket, host: string, tls: ConnectionOptions, millis: number, done: Done): (() => void) => {
  const secured = connectTls({ ...tls, socket, servername: isIP(host) ? "" : host, host })
  let settled = false
  const settle = (error: unknown, tell = done) => {
    settled = true
    clearTimeout(timer)
    secured.off("error", settle).off("secureConnect", onSecure).off("close", onClose)
    if (error === null) return tell(null, secured)
    secured.on("error", () => {}).destroy()
    socket.destroy()
    tell(EgressError.from(error), null)
  }
  const onSecure = () => settle(null)
  const onClose = () => settle(new EgressError({ reason: "Unreachable", message: `${host} closed the connection during the handshake` }))
  const timer = setTimeout(() => settle(new EgressError({ reason: "Timeout", message: `no handshake with ${host}` })), millis)
  secured.once("error", settle).once("secureConnect", onSecure).once("close", onClose)
  return () => settled || settle("given up", () => {})
}

/** Calls back, and is given up, as `checkedConnect`. */
export const connectProxied = (policy: AddressPolicy, target: ProxiedTarget, done: Done): (() => void) => {
  const { preface, timeoutMillis = 5000, tls, ...plain } = target
  const started = performance.now()
  let giveUp = checkedConnect(policy, { ...plain, timeoutMillis }, (error, socket) => {
    if (error !== null || socket === null) return done(error, null)
    socket.write(preface)
    if (tls === undefined) return done(null, socket)
    giveUp = secure(socket, plain.host, tls, Math.max(1, timeoutMillis - (performance.now() - started)), done)
  })
  return () => giveUp()
}
