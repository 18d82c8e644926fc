/** A request of an HTTP/1.1 connection goes on to its origin: both sides of its exchange. */

import type { RequestHead } from "../http1/requestHead.ts"
import type { RequestId } from "../RequestId.ts"
import type { ProxyDecision } from "./Edge.ts"
import type { Http1Connection } from "./Http1Connection.ts"
import { Http1Exchange } from "./Http1Exchange.ts"
import { openOrigin } from "./openOrigin.ts"

/** The body is asked for after so long, whatever the origin says of it. */
const continueMillis = 1000

export const forwardRequest = (connection: Http1Connection, head: RequestHead, requestId: RequestId, decision: ProxyDecision): void => {
  const { edge, peer } = connection
  const { connection_id: connectionId, tenant_id: tenantId } = decision.entry
  const exchange = new Http1Exchange(connection, head, requestId, { connectionId, tenantId, policy: decision.policy, way: decision })
  connection.exchange = exchange
  const request = openOrigin(edge, head, decision, { requestId, peer, client: exchange })
  connection.origin = request
  if (head.expectContinue) setTimeout(() => exchange === connection.exchange && exchange.proceed(), continueMillis).unref()
  request.start()
}
