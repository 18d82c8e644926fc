/**
 * What port 80 answers: ACME challenges first, then the way to HTTPS (requirement A14).
 *
 * Owns: both answers. Built against: an answer for somebody else's token, path tricks, and a challenge that is redirected away or refused by a limit before
 * it is answered. Only the exact path of a token that we wait for, asked under the host that it was made for, is answered; everything else there is 404.
 */

import { errorAnswer, redirectAnswer, textAnswer } from "../client/answers.ts"
import type { ClientPeer, Decision, Edge } from "../client/Edge.ts"
import type { RequestHead } from "../http1/requestHead.ts"
import type { RequestId } from "../RequestId.ts"

const prefix = "/.well-known/acme-challenge/"
/** RFC 8555 §8.3: base64url, at least 128 bits. */
const token = /^[A-Za-z0-9_-]{16,128}$/

/** What a CA that asks for a pending token wants to hear. */
const authorizationFor = ({ table }: Edge, { host, method, target }: RequestHead): string | undefined => {
  if (!target.startsWith(prefix) || (method !== "GET" && method !== "HEAD")) return undefined
  const name = target.slice(prefix.length)
  return token.test(name) ? table.challenge(name, host) : undefined
}

/** `httpsPort`: the port that clients reach the TLS listener at, for redirects. */
export const decidePlain =
  (httpsPort: number) =>
  (edge: Edge, peer: ClientPeer, head: RequestHead, requestId: RequestId): Decision => {
    const authorization = authorizationFor(edge, head)
    if (authorization !== undefined) return { answer: textAnswer(200, authorization), code: "challenge", close: false }
    const refused = edge.gate.plainRequest(peer)
    if (refused !== undefined) {
      const { status, code, seconds } = refused
      return { answer: errorAnswer(status, head.accept, requestId, { retryAfter: seconds }), code, close: true }
    }
    if (head.target.startsWith(prefix)) return { answer: errorAnswer(404, head.accept, requestId), code: "no-challenge", close: false }
    if (edge.table.find(head.host) === undefined)
      return { answer: errorAnswer(404, head.accept, requestId), code: "unknown-host", close: true }
    const port = httpsPort === 443 ? "" : `:${httpsPort}`
    const path = head.target === "*" ? "/" : head.target
    return { answer: redirectAnswer(`https://${head.host}${port}${path}`), code: "redirect", close: false }
  }
