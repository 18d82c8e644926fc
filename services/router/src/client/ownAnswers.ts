/**
 * What an HTTP/1.1 connection answers by itself: decisions of the edge's own, and refusals.
 *
 * Owns: writing them, their records, and whether the connection can go on. Leaves to `answers.ts`: their text. After a refusal it never can: nobody
 * knows where the next message begins.
 */

import type { Refusal } from "../http1/Refusal.ts"
import type { RequestHead } from "../http1/requestHead.ts"
import { policyAnswer } from "../policy/errorPage.ts"
import { noPolicy } from "../policy/Policy.ts"
import type { RequestId } from "../RequestId.ts"
import { writeAnswer } from "./answers.ts"
import { type OwnDecision, unreadAnswer } from "./Edge.ts"
import type { Http1Connection } from "./Http1Connection.ts"
import { Http1Exchange } from "./Http1Exchange.ts"
import { recordOfRefusal } from "./recordOf.ts"

/** Answers a request that goes no further. */
export const answerHere = (connection: Http1Connection, head: RequestHead, requestId: RequestId, decision: OwnDecision): void => {
  const { entry } = decision
  const owner = { connectionId: entry?.connection_id ?? "", tenantId: entry?.tenant_id ?? "", policy: noPolicy }
  const exchange = new Http1Exchange(connection, head, requestId, owner)
  exchange.status = decision.answer.status
  exchange.code = decision.code
  connection.exchange = exchange
  const answer = () => {
    if (connection.exchange !== exchange) return // the client left meanwhile
    if (!connection.requestComplete || decision.close || connection.edge.draining) connection.closeAfter = true
    connection.socket.write(writeAnswer(decision.answer, { head: head.method === "HEAD", close: connection.closeAfter }), "latin1")
    connection.exchangeDone(exchange)
  }
  if (!decision.afterMillis) {
    answer()
    return
  }
  connection.socket.pause()
  connection.deadline = 0 // nothing is read meanwhile
  setTimeout(answer, decision.afterMillis)
}

/** Answers with the refusal's status if nothing was answered yet, and closes. */
export const refuseMessage = (connection: Http1Connection, refusal: Refusal): void => {
  const { edge, exchange, origin, peer } = connection
  connection.exchange = undefined
  connection.origin = undefined
  origin?.abort()
  if (exchange !== undefined && exchange.status !== 0) {
    exchange.record()
    connection.destroy()
    return
  }
  const requestId = exchange?.requestId ?? edge.newRequestId()
  const answer =
    exchange === undefined
      ? unreadAnswer(edge, peer, refusal.status, requestId)
      : policyAnswer(exchange.policy, exchange.head, refusal.status, requestId)
  connection.socket.write(writeAnswer(answer, { head: false, close: true }), "latin1")
  if (exchange === undefined) {
    edge.observer.requestStarted()
    edge.observer.requestDone(recordOfRefusal(refusal, requestId, peer))
  } else {
    exchange.status = refusal.status
    exchange.code = refusal.code
    exchange.record()
  }
  connection.closeGently()
}
