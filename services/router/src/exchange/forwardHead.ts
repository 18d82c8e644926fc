/**
 * The head that goes to the origin (requirements E4 and E6).
 *
 * Owns: what the edge writes anew: request line, Host, forwarded fields, framing. Leaves to the readers of requests: which of the client's lines
 * are left to pass. Built against: a client that claims another address, scheme or host, and framing fields copied from one hop to the next.
 */

import { loopName, type RequestHead } from "../http1/requestHead.ts"
import { putText } from "../lineBytes.ts"
import type { Origin } from "../origin/Origin.ts"
import { joinPath } from "../policy/originPath.ts"
import type { Policy } from "../policy/Policy.ts"
import { RepeatedBytes } from "../RepeatedBytes.ts"
import type { RequestId } from "../RequestId.ts"
import type { BodyFraming } from "./Exchange.ts"

export interface Peer {
  /** The client's address, without brackets or zone. */
  readonly address: string
  readonly scheme: "https" | "http"
  /** The middle of its last request's head; most ask for one host. */
  middle?: (Readonly<Record<"originAuthority" | "host" | "port" | "connectionId", string>> & { readonly bytes: RepeatedBytes }) | undefined
}

const forwardedNode = (address: string) => (address.includes(":") ? `"[${address}]"` : address)

/** What of the way to the origin shows in the head. */
export interface Way {
  readonly origin: Pick<Origin, "authority" | "prefix">
  readonly policy: Pick<Policy, "hostOfOrigin">
}

type Asked = Pick<RequestHead, "host" | "port">

/**
 * The middle of the head, from the end of the request line to the request's id: who asks for what, the same for all requests of a connection for one
 * host. The Host that the origin sees is the client's, unless the vendor wants the origin's own.
 */
export const headMiddle = (peer: Peer, asked: Asked, way: Way, connectionId: string): RepeatedBytes => {
  const { host, port } = asked
  const originAuthority = way.policy.hostOfOrigin ? way.origin.authority : ""
  const last = peer.middle
  const alike = last?.host === host && last.port === port && last.connectionId === connectionId && last.originAuthority === originAuthority
  if (alike) return last.bytes
  const bytes = new RepeatedBytes(writeMiddle(peer, asked, originAuthority, connectionId))
  peer.middle = { originAuthority, host, port, connectionId, bytes }
  return bytes
}

const writeMiddle = (peer: Peer, { host, port }: Asked, originAuthority: string, connectionId: string): string => {
  const authority = port === "" ? host : `${host}:${port}`
  const quoted = port === "" ? authority : `"${authority}"`
  return (
    ` HTTP/1.1\r\nHost: ${originAuthority || authority}\r\n` +
    `X-Forwarded-For: ${peer.address}\r\nX-Forwarded-Proto: ${peer.scheme}\r\nX-Forwarded-Host: ${authority}\r\n` +
    `Forwarded: for=${forwardedNode(peer.address)};host=${quoted};proto=${peer.scheme}\r\n` +
    `X-Real-IP: ${peer.address}\r\nX-CD-Connection: ${connectionId}\r\nCDN-Loop: ${loopName}\r\nX-CD-Request-Id: `
  )
}

export const framingOf = (head: RequestHead): BodyFraming => (head.chunked ? "chunked" : head.length > 0 ? "length" : "none")

/** Our lines that only some requests have. */
const linesOf = (head: RequestHead): string => {
  let lines = ""
  if (head.websocket) lines += "Connection: Upgrade\r\nUpgrade: websocket\r\n"
  if (head.expectContinue) lines += "Expect: 100-continue\r\n"
  if (head.chunked) lines += "Transfer-Encoding: chunked\r\n"
  else if (head.length >= 0) lines += `Content-Length: ${head.length}\r\n`
  return lines
}

const targetOf = (head: RequestHead, { origin }: Way): string => (origin.prefix === "" ? head.target : joinPath(origin.prefix, head.target))

/** What a head is made of. */
export interface Forwarded {
  readonly head: RequestHead
  readonly way: Way
  /** From `headMiddle`. */
  readonly middle: RepeatedBytes
  /** Named in error pages and the access log too. */
  readonly requestId: RequestId
}

/** More than `linesOf` and what stands between the parts. */
const ownBytes = 256

/** Bytes that are enough for it. */
export const headRoom = ({ head, way, middle, requestId }: Forwarded): number =>
  ownBytes + head.method.length + way.origin.prefix.length + head.target.length + middle.length + requestId.length + head.kept.length

/** Writes the whole head, which `out` has room for, to its beginning; returns its length. */
export const putHead = (out: Buffer, { head, way, middle, requestId }: Forwarded): number => {
  let at = putText(out, 0, head.method)
  at = putText(out, at, " ")
  at = putText(out, at, targetOf(head, way))
  at = middle.putInto(out, at)
  at = requestId.putInto(out, at)
  at = putText(out, at, "\r\n")
  at = putText(out, at, head.kept)
  at = putText(out, at, linesOf(head))
  return putText(out, at, "\r\n")
}
