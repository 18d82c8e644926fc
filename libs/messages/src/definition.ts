/**
 * How a message is declared: subject, kind, who sends it, who handles it, and its schema.
 *
 * Owns: the four kinds (work, call, event, bucket) and the subject grammar. Leaves to the other files here: which messages exist; to
 * `topology.ts`: which streams and consumers follow from them; to libs/nats: sending and receiving.
 * Built against: a subject that is typed by hand in two services and differs by one letter.
 */
import type { Schema } from "effect"

export const serviceNames = ["gateway", "lifecycle", "connector", "certifier", "router", "billing", "webhooks"] as const
export type ServiceName = (typeof serviceNames)[number]
/** `operator` is the person's own tool (`./dev`), never a service. */
export type Sender = ServiceName | "operator"

/** A schema that needs no services to decode: a message is data. */
// biome-ignore lint/suspicious/noExplicitAny: the list holds schemas of every type
export type WireSchema = Schema.Codec<any, any>

/** Work that must survive its sender: at least once, to one replica of the receiver. Handlers are idempotent. */
export interface WorkDefinition<P extends WireSchema = WireSchema> {
  readonly kind: "work"
  /** `cd.work.v1.<service>.<actor>.<verb>.{key}`; the key is the payload's field of that name. */
  readonly subject: string
  readonly from: ReadonlyArray<Sender>
  readonly to: ServiceName
  readonly payload: P
}

/** A question whose caller waits. Not stored: without an answer in time the caller gets `unavailable`. */
export interface CallDefinition<P extends WireSchema = WireSchema, S extends WireSchema = WireSchema> {
  readonly kind: "call"
  /** `cd.call.v1.<service>.<verb>` */
  readonly subject: string
  readonly from: ReadonlyArray<Sender>
  readonly to: ServiceName
  /** How long the caller waits, in milliseconds. */
  readonly timeoutMillis: number
  readonly payload: P
  readonly success: S
}

/** A fact, kept in a log of at least 30 days: the integrators' feed. */
export interface EventDefinition<P extends WireSchema = WireSchema> {
  readonly kind: "event"
  readonly subject: string
  readonly from: ReadonlyArray<Sender>
  readonly to: ReadonlyArray<ServiceName>
  readonly payload: P
}

/** A KV bucket: last value per key. */
export interface BucketDefinition<V extends WireSchema = WireSchema> {
  readonly kind: "bucket"
  readonly bucket: string
  readonly writers: ReadonlyArray<ServiceName>
  readonly readers: ReadonlyArray<ServiceName>
  readonly value: V
  /** Whether entries may carry a TTL of their own (then deletions reach watchers as markers). */
  readonly ttl: boolean
  readonly maxBytes: number
}

export type Definition = WorkDefinition | CallDefinition | EventDefinition | BucketDefinition

const part = "(?:[a-z0-9-]+|\\{[a-z_]+\\})"
const grammar = {
  work: /^cd\.work\.v1\.[a-z]+\.[a-z-]+\.[a-z-]+(?:\.\{[a-z_]+\})?$/,
  call: /^cd\.call\.v1\.[a-z]+\.[a-z-]+$/,
  event: new RegExp(`^cd\\.events\\.v1(?:\\.${part})+$`)
}

const checked = (kind: keyof typeof grammar, subject: string, to?: string): string => {
  if (!grammar[kind].test(subject)) throw new Error(`not a ${kind} subject: ${subject}`)
  if (to !== undefined && subject.split(".")[3] !== to) throw new Error(`${subject} does not name its receiver ${to}`)
  return subject
}

export const work = <P extends WireSchema>(definition: Omit<WorkDefinition<P>, "kind">): WorkDefinition<P> => {
  checked("work", definition.subject, definition.to)
  return { kind: "work", ...definition }
}

export const call = <P extends WireSchema, S extends WireSchema>(
  definition: Omit<CallDefinition<P, S>, "kind" | "timeoutMillis"> & { readonly timeoutMillis?: number }
): CallDefinition<P, S> => {
  checked("call", definition.subject, definition.to)
  return { timeoutMillis: 3_000, ...definition, kind: "call" }
}

export const event = <P extends WireSchema>(definition: Omit<EventDefinition<P>, "kind">): EventDefinition<P> => {
  checked("event", definition.subject)
  return { kind: "event", ...definition }
}

export const bucket = <V extends WireSchema>(definition: Omit<BucketDefinition<V>, "kind">): BucketDefinition<V> => ({
  kind: "bucket",
  ...definition
})

/** The subject of one message: every `{field}` replaced by the payload's value. Dots in an event's type stay as tokens. */
export const subjectOf = (definition: WorkDefinition | EventDefinition, payload: Readonly<Record<string, unknown>>): string =>
  definition.subject.replace(/\{([a-z_]+)\}/g, (_, field: string) => {
    const value = payload[field]
    if (typeof value !== "string" || !/^[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*$/.test(value)) {
      throw new Error(`${definition.subject}: field ${field} cannot stand in a subject`)
    }
    return value
  })

/** The subject with every field as a wildcard, to subscribe to or to grant. An event's last field may span tokens. */
export const subjectFilter = (definition: WorkDefinition | EventDefinition): string =>
  definition.subject.replace(/\{type\}$/, ">").replace(/\{[a-z_]+\}/g, "*")
