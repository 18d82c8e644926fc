/**
 * One client's socket on either port, and what it holds until it is closed.
 *
 * Owns: the facts. Leaves to `Listeners.ts`: setting them, and giving back what is held.
 */
import type { Socket } from "node:net"
import { performance } from "node:perf_hooks"
import type { TLSSocket } from "node:tls"
import type { Http1Connection } from "../client/Http1Connection.ts"
import type { HostUse } from "../limits/HostUse.ts"
import type { Member } from "../Roster.ts"
import type { SecureAccept } from "./SecureAccept.ts"

export class Accepted implements Member {
  place = 0
  readonly socket: Socket
  /** The client's, by the socket or by a trusted balancer's word; "" until it is known. */
  address = ""
  /** When it was accepted, or, over HTTP/1.1, was ready for its first request. */
  since = performance.now()
  /** What is spoken; "" as long as a PROXY header or the end of the handshake is waited for. */
  protocol: "" | "http" | "https" | "h2" = ""
  /** What sees it through its handshake; undefined on port 80. */
  accept: SecureAccept<Accepted> | undefined
  http1: Http1Connection | undefined
  /** What it counts as in `ClientCounts`; "" for nobody. */
  client = ""
  use: HostUse | undefined
  /** What speaks TLS on it; its close follows that of the socket. */
  secured: TLSSocket | undefined

  constructor(socket: Socket) {
    this.socket = socket
  }
}
