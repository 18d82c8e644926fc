/**
 * Streams and consumers, generated from the catalogue.
 *
 * Owns: names, retention, limits and storage of JetStream objects. Leaves to libs/nats: creating them.
 * Work queues live in the server's memory: every command's deadline is a row in Postgres, so a lost queue costs seconds and no fsync is
 * paid per message. Events, dead letters and buckets are files with `sync_interval: always`.
 */
import { allEvents, allWork } from "./catalogue.ts"
import { type ServiceName, serviceNames, subjectFilter } from "./definition.ts"

export interface StreamTopology {
  readonly name: string
  readonly subjects: ReadonlyArray<string>
  readonly retention: "workqueue" | "limits"
  readonly storage: "memory" | "file"
  readonly maxAgeSeconds: number
  readonly maxBytes: number
  /** Within this window a second publish with the same id is dropped by the server; handlers are idempotent beyond it. */
  readonly duplicateWindowSeconds: number
  /** `new`: when full the publisher is refused and keeps its outbox row; `old`: the oldest message goes. */
  readonly discard: "new" | "old"
}

export interface ConsumerTopology {
  /** Durable name, e.g. `lifecycle_connection`. */
  readonly name: string
  readonly stream: string
  readonly service: ServiceName
  readonly filters: ReadonlyArray<string>
  readonly ackWaitSeconds: number
  readonly maxDeliver: number
  readonly maxAckPending: number
  /** Delays before redelivery, in seconds; the last one repeats. */
  readonly backoffSeconds: ReadonlyArray<number>
}

const mebibyte = 1024 * 1024
const day = 86_400

export const workStreamOf = (service: ServiceName): string => `CD_WORK_${service.toUpperCase()}`
export const eventStream = "CD_EVENTS"
export const deadStream = "CD_DEAD"

const receivers = serviceNames.filter((service) => allWork.some((definition) => definition.to === service))

export const streams: ReadonlyArray<StreamTopology> = [
  ...receivers.map(
    (service): StreamTopology => ({
      name: workStreamOf(service),
      subjects: [`cd.work.v1.${service}.>`],
      retention: "workqueue",
      storage: "memory",
      maxAgeSeconds: day,
      maxBytes: 256 * mebibyte,
      duplicateWindowSeconds: 30,
      discard: "new"
    })
  ),
  {
    name: eventStream,
    subjects: ["cd.events.v1.>"],
    retention: "limits",
    storage: "file",
    maxAgeSeconds: 35 * day,
    maxBytes: 16_384 * mebibyte,
    duplicateWindowSeconds: 120,
    discard: "old"
  },
  {
    name: deadStream,
    subjects: ["cd.dead.v1.>"],
    retention: "limits",
    storage: "file",
    maxAgeSeconds: 90 * day,
    maxBytes: 1024 * mebibyte,
    duplicateWindowSeconds: 120,
    discard: "old"
  }
]

const actorOf = (subject: string): string => subject.split(".")[4]!

/** One consumer per service and actor, so that a slow actor does not hold up another. */
const workConsumers: ReadonlyArray<ConsumerTopology> = receivers.flatMap((service) => {
  const actors = new Set(allWork.filter((definition) => definition.to === service).map((definition) => actorOf(definition.subject)))
  return [...actors].map(
    (actor): ConsumerTopology => ({
      name: `${service}_${actor}`,
      stream: workStreamOf(service),
      service,
      filters: [`cd.work.v1.${service}.${actor}.>`],
      ackWaitSeconds: 30,
      maxDeliver: 6,
      maxAckPending: 1_000,
      backoffSeconds: [1, 2, 5, 10, 30]
    })
  )
})

/** Services that keep state of their own about events; a gateway follows with ordered, ephemeral consumers instead. */
const eventFollowers: ReadonlyArray<ServiceName> = ["webhooks", "billing"]
const eventConsumers: ReadonlyArray<ConsumerTopology> = eventFollowers.map((service) => ({
  name: `${service}_events`,
  stream: eventStream,
  service,
  filters: allEvents.map(subjectFilter),
  ackWaitSeconds: 30,
  maxDeliver: 20,
  maxAckPending: 1_000,
  backoffSeconds: [1, 2, 5, 10, 30]
}))

export const consumers: ReadonlyArray<ConsumerTopology> = [...workConsumers, ...eventConsumers]

/** Where a message goes that could not be handled: same tail, so that it can be replayed. */
export const deadSubject = (subject: string): string => subject.replace(/^cd\.(work|events)\.v1\./, "cd.dead.v1.$1.")
