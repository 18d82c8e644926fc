/**
 * A request becomes a tunnel: it is counted as answered at once, its bytes as they pass, and its line in the access log is written when the tunnel ends,
 * with all of them.
 */
import type { Duplex } from "node:stream"
import type { Edge } from "./Edge.ts"
import { type Asker, type Recorded, recordOf } from "./recordOf.ts"
import { Tunnel } from "./Tunnel.ts"

/** The two ends, and what was read from each already. */
export interface TunnelEnds {
  readonly client: Duplex
  readonly origin: Duplex
  readonly fromClient: Buffer
  readonly fromOrigin: Buffer
}

/** `request`: answered with the upgrade, which is written; its bytes grow with the tunnel's. */
export const openTunnel = ({ deadlines, limits, observer }: Edge, request: Recorded, asker: Asker, ends: TunnelEnds): void => {
  observer.requestDone({ ...recordOf(request, asker), tunnel: true })
  new Tunnel(ends.client, ends.origin, {
    deadlines,
    idleMillis: limits.tunnelMillis,
    moved: (fromClient, fromOrigin) => {
      request.bytesIn += fromClient
      request.bytesOut += fromOrigin
      observer.tunnelMoved(request.connectionId, fromClient, fromOrigin)
    },
    over: () => observer.tunnelClosed(recordOf(request, asker))
  }).start(ends.fromOrigin, ends.fromClient)
}
