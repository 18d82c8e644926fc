/**
 * Every message that services exchange, in one list.
 *
 * Owns: the wire. Streams, consumers and each service's NATS permissions are generated from this list, so a subject that is not here can
 * be neither published nor read. A schema only grows (new optional fields); a message that is no longer sent stays as a tombstone,
 * because a stream may still hold one. Each encoding ever shipped has a golden file that must still decode.
 */
import * as billing from "./billing.ts"
import * as buckets from "./buckets.ts"
import * as certifier from "./certifier.ts"
import * as connector from "./connector.ts"
import type { BucketDefinition, CallDefinition, Definition, EventDefinition, WorkDefinition } from "./definition.ts"
import * as events from "./events.ts"
import * as lifecycle from "./lifecycle.ts"
import * as traffic from "./traffic.ts"
import * as webhooks from "./webhooks.ts"

const kinds: ReadonlyArray<unknown> = ["work", "call", "event", "bucket"]
const isDefinition = (value: unknown): value is Definition =>
  typeof value === "object" && value !== null && "kind" in value && kinds.includes(value.kind)

/** Name → definition, e.g. `lifecycle.createConnection`. */
export const catalogue: ReadonlyMap<string, Definition> = new Map(
  Object.entries({ lifecycle, connector, certifier, billing, traffic, webhooks, events, buckets }).flatMap(([file, members]) =>
    Object.entries(members as Record<string, unknown>).flatMap(([name, value]) =>
      isDefinition(value) ? [[`${file}.${name}`, value] as const] : []
    )
  )
)

const ofKind = <D extends Definition>(kind: D["kind"]): ReadonlyArray<D> =>
  [...catalogue.values()].filter((definition) => definition.kind === kind) as unknown as ReadonlyArray<D>

export const allWork = ofKind<WorkDefinition>("work")
export const allCalls = ofKind<CallDefinition>("call")
export const allEvents = ofKind<EventDefinition>("event")
export const allBuckets = ofKind<BucketDefinition>("bucket")
