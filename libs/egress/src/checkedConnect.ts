/**
 * A TCP or TLS socket to somewhere on the internet, opened only to an address that the policy lets through.
 *
 * Owns: the check before (literal addresses, which no look-up sees), during (look-up) and after connecting (the peer's real address).
 * Leaves to the caller: the protocol, and idle timeouts. Used for origins and name servers; webhooks and APIs use `checkedAgent.ts`.
 */
import { connect as connectTcp, isIP, type OnReadOpts, type Socket } from "node:net"
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from "node:tls"
import type { AddressPolicy } from "./AddressPolicy.ts"
import { denied, isOpen, makeLookup } from "./checkedLookup.ts"
import { EgressError } from "./EgressError.ts"
import { reachedBy } from "./reachedFamilies.ts"
import type { Resolve } from "./resolveName.ts"

export interface ConnectTarget {
  /** A host name, or an address without brackets. */
  readonly host: string
  readonly port: number
  /** Present for TLS; `servername` is the name that is sent and verified. */
  readonly tls?: ConnectionOptions & { readonly servername?: string }
  /** Milliseconds until the connection (and the handshake) must stand; default 5,000. */
  readonly timeoutMillis?: number
  readonly resolve?: Resolve
  /** Reads into a buffer of the caller's instead of emitting `data` (`net.connect`'s option of this name). */
  readonly onread?: OnReadOpts
}

/**
 * How long one of several addresses is tried. Node gives up each but the last for good after this time, by default 250 ms: an origin on the other
 * side of the world, or one that lost a SYN (sent anew after a second), would never be reached if another of its addresses were dead.
 */
const attemptMillis = (millis: number): number => Math.max(1500, Math.floor(millis / 3))

const withoutBrackets = (host: string): string => (host.startsWith("[") && host.endsWith("]") ? host.slice(1, -1) : host)

/**
 * Calls back once with an open socket, or with an `EgressError` and nothing left open. Returns how to give up before that: nobody is called
 * back then, and nothing is left open either.
 */
export const checkedConnect = (
  addresses: AddressPolicy,
  target: ConnectTarget,
  done: (error: EgressError | null, socket: Socket | TLSSocket | null) => void
): (() => void) => {
  const host = withoutBrackets(target.host)
  const policy: AddressPolicy = { check: (address) => addresses.check(address, target.port) }
  if (isIP(host) !== 0 && !isOpen(policy, true, host)) {
    done(denied(host), null)
    return () => {}
  }
  const lookup = makeLookup(policy, true, target.resolve)
  const onread = target.onread === undefined ? {} : { onread: target.onread }
  const millis = target.timeoutMillis ?? 5000
  const attempts = { autoSelectFamily: true, autoSelectFamilyAttemptTimeout: attemptMillis(millis) }
  const options = { host, port: target.port, lookup, ...attempts, ...onread }
  const socket: Socket | TLSSocket =
    target.tls === undefined
      ? connectTcp(options)
      : connectTls({ ...target.tls, ...options, servername: target.tls.servername ?? (isIP(host) ? "" : host) })
  let settled = false
  const settle = (error: unknown, tell = done) => {
    settled = true
    clearTimeout(timer)
    socket.off("error", settle).off(target.tls === undefined ? "connect" : "secureConnect", onOpen)
    if (error === null) {
      if (isIP(host) === 0) reachedBy(host, socket.remoteFamily)
      return tell(null, socket)
    }
    socket.on("error", () => {}).destroy()
    tell(EgressError.from(error), null)
  }
  const onOpen = () => settle(socket.remoteAddress !== undefined && isOpen(policy, true, socket.remoteAddress) ? null : denied(host))
  const timer = setTimeout(() => settle(new EgressError({ reason: "Timeout", message: `no connection to ${host}` })), millis)
  socket.once("error", settle).once(target.tls === undefined ? "connect" : "secureConnect", onOpen)
  return () => settled || settle("given up", () => {})
}
