/** Everything that a service says to others: `Layer.provide(messaging("lifecycle"))`. One connection, under that service's user. */
import type { Sender } from "@connect-domain/messages/definition.ts"
import { Layer } from "effect"
import { Calls } from "./Calls.ts"
import { Events } from "./Events.ts"
import { Kv } from "./Kv.ts"
import { Lease } from "./Lease.ts"
import { Nats } from "./Nats.ts"
import { Work } from "./Work.ts"

export const messaging = (service: Sender) =>
  Layer.mergeAll(Calls.layer, Work.layer, Events.layer, Lease.layer).pipe(
    Layer.provideMerge(Kv.layer),
    Layer.provideMerge(Nats.layer(service))
  )
