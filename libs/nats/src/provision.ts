/**
 * Creates and updates the streams, consumers and buckets that the catalogue asks for.
 *
 * Owns: the translation into JetStream configurations. Leaves to libs/messages: which there are. Called by the lifecycle only, whose user
 * alone may do it: at its start and by `rebuild`. Idempotent; several may run it at once.
 * Built against: a wiped store (everything is simply made again), a small disk (a limit that does not fit is halved, with a warning).
 */
import { checked, setting } from "@connect-domain/domain/Setting.ts"
import { allBuckets } from "@connect-domain/messages/catalogue.ts"
import type { BucketDefinition } from "@connect-domain/messages/definition.ts"
import { type ConsumerTopology, consumers, type StreamTopology, streams } from "@connect-domain/messages/topology.ts"
import { type ConsumerConfig, JetStreamApiError, type JetStreamManager, jetstreamManager, type StreamConfig } from "@nats-io/jetstream"
import { Config, Effect, Schedule } from "effect"
import { changesSubject } from "./bucketStream.ts"
import { Nats, type NatsUnavailable, unavailable } from "./Nats.ts"

/** Copies of each stream and bucket in a NATS cluster: 1, 3 or 5. Default 1. */
export const Replicas = Config.Int("CD_NATS_REPLICAS").pipe(Config.withDefault(1))
export const provisionSettings = [
  setting(
    "CD_NATS_REPLICAS",
    checked("CD_NATS_REPLICAS", Replicas, (count) => ([1, 3, 5].includes(count) ? undefined : "is no number of copies")),
    "1, 3 or 5"
  )
]

const nanos = (seconds: number) => Math.round(seconds * 1e9)

/** Everything that the catalogue asks for exists afterwards. Tries for 30 s: a server that starts answers late. */
export const provision: Effect.Effect<void, NatsUnavailable | Config.ConfigError, Nats> = Effect.gen(function* () {
  const nats = yield* Nats
  const replicas = yield* Replicas
  const warnings: Array<string> = []
  yield* Effect.tryPromise({
    try: async () => {
      await nats.connected(5_000)
      const manager = await jetstreamManager(nats.connection, { checkAPI: false, timeout: 5_000 })
      await Promise.all([
        ...streams.map((stream) => ensureStream(manager, streamConfig(stream, replicas), warnings)),
        ...allBuckets.map((bucket) => ensureStream(manager, bucketConfig(bucket, replicas), warnings))
      ])
      await Promise.all(consumers.map((consumer) => ensureConsumer(manager, consumer)))
    },
    catch: (cause) => unavailable("provisioning", cause)
  }).pipe(Effect.retry(Schedule.spaced("500 millis").pipe(Schedule.upTo({ duration: "30 seconds" }))))
  for (const warning of warnings) yield* Effect.logWarning(warning)
})

const streamConfig = (stream: StreamTopology, replicas: number): Partial<StreamConfig> & { name: string } => ({
  name: stream.name,
  subjects: [...stream.subjects],
  retention: stream.retention,
  storage: stream.storage,
  max_age: nanos(stream.maxAgeSeconds),
  max_bytes: stream.maxBytes,
  max_msgs: -1,
  max_msg_size: -1,
  duplicate_window: nanos(stream.duplicateWindowSeconds),
  discard: stream.discard,
  num_replicas: replicas,
  allow_direct: false
})

/** As ADR-8 lays a bucket out, so that other tools read it; one value per key. */
const bucketConfig = (definition: BucketDefinition, replicas: number): Partial<StreamConfig> & { name: string } => ({
  name: `KV_${definition.bucket}`,
  subjects: [`$KV.${definition.bucket}.>`],
  retention: "limits",
  storage: "file",
  max_msgs_per_subject: 1,
  max_bytes: definition.maxBytes,
  max_age: 0,
  max_msgs: -1,
  max_msg_size: 1024 * 1024,
  duplicate_window: nanos(120),
  discard: "new",
  num_replicas: replicas,
  allow_direct: true,
  allow_rollup_hdrs: true,
  deny_delete: true,
  // Each stored value once more, with its revision: what watchers subscribe to.
  republish: { src: `$KV.${definition.bucket}.>`, dest: changesSubject(definition.bucket) },
  ...(definition.ttl ? { allow_msg_ttl: true, subject_delete_marker_ttl: nanos(600) } : {})
})

const notFound = new Set([10014, 10059])
const insufficientStorage = new Set([10023, 10028, 10047])

const codeOf = (error: unknown): number | undefined => (error instanceof JetStreamApiError ? error.code : undefined)

const ensureStream = async (
  manager: JetStreamManager,
  config: Partial<StreamConfig> & { name: string },
  warnings: Array<string>
): Promise<void> => {
  try {
    try {
      await manager.streams.update(config.name, config)
    } catch (error) {
      if (!notFound.has(codeOf(error) ?? 0)) throw error
      await manager.streams.add(config)
    }
  } catch (error) {
    const maxBytes = config.max_bytes ?? 0
    if (!insufficientStorage.has(codeOf(error) ?? 0) || maxBytes < 1024 * 1024) throw error
    warnings.push(`${config.name}: the server has no room for ${maxBytes} bytes, trying half`)
    await ensureStream(manager, { ...config, max_bytes: Math.floor(maxBytes / 2) }, warnings)
  }
}

const ensureConsumer = async (manager: JetStreamManager, consumer: ConsumerTopology): Promise<void> => {
  const config: Partial<ConsumerConfig> = {
    durable_name: consumer.name,
    name: consumer.name,
    ack_policy: "explicit",
    ack_wait: nanos(consumer.ackWaitSeconds),
    max_deliver: consumer.maxDeliver,
    max_ack_pending: consumer.maxAckPending,
    ...(consumer.filters.length === 1 ? { filter_subject: consumer.filters[0]! } : { filter_subjects: [...consumer.filters] })
  }
  await manager.consumers.add(consumer.stream, config)
}
