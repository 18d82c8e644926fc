/**
 * What each service's NATS user may publish and subscribe to, from the catalogue.
 *
 * Owns: the translation of "who sends, who handles, who writes, who reads" into subjects, JetStream's own API included. Leaves to
 * `serverConfiguration.ts`: writing it into the server's configuration.
 * Built against: an edge that was broken into and writes the registry, certificates or challenges; a service that reads another's replies
 * (each user has its own inbox prefix); JetStream's API as a back door (only the verbs and the streams that are needed; no purge, no delete).
 */
import { allBuckets, allCalls, allEvents, allWork } from "@connect-domain/messages/catalogue.ts"
import { type Sender, type ServiceName, subjectFilter } from "@connect-domain/messages/definition.ts"
import { consumers, eventStream, streams } from "@connect-domain/messages/topology.ts"
import { changesSubject } from "./bucketStream.ts"
import { inboxPrefix } from "./Nats.ts"

export interface Permissions {
  readonly publish: ReadonlyArray<string>
  readonly subscribe: ReadonlyArray<string>
  /** May answer the requests that it receives, once each. */
  readonly mayRespond: boolean
}

/** The service that creates streams, consumers and buckets. */
export const provisioner: ServiceName = "lifecycle"

/** The person's own tool: everything. Its seed stays on the operator's machine. */
export const operatorPermissions: Permissions = { publish: [">"], subscribe: [">"], mayRespond: true }

export const permissionsOf = (service: ServiceName): Permissions => ({
  publish: unique([
    ...sends(service),
    ...consumes(service),
    ...allBuckets.flatMap(({ bucket, writers, readers }) => [
      ...(writers.includes(service) ? [`$KV.${bucket}.>`] : []),
      ...(writers.includes(service) || readers.includes(service) ? readsBucket(bucket) : [])
    ]),
    ...(service === provisioner ? provisions() : [])
  ]),
  subscribe: unique([
    `${inboxPrefix(service)}.>`,
    ...allCalls.filter((definition) => definition.to === service).map((definition) => definition.subject),
    ...allEvents.filter((definition) => definition.to.includes(service)).map(subjectFilter),
    ...allBuckets.filter(({ readers }) => readers.includes(service)).map(({ bucket }) => changesSubject(bucket))
  ]),
  mayRespond: allCalls.some((definition) => definition.to === service)
})

const sends = (service: Sender): ReadonlyArray<string> => [
  ...allCalls.filter(({ from }) => from.includes(service)).map(({ subject }) => subject),
  ...allWork.filter(({ from }) => from.includes(service)).map(subjectFilter),
  ...allEvents.filter(({ from }) => from.includes(service)).map(subjectFilter)
]

/** Pulling, acknowledging and, for what can't be handled, its dead letters. */
const consumes = (service: ServiceName): ReadonlyArray<string> =>
  consumers
    .filter((consumer) => consumer.service === service)
    .flatMap(({ stream, name }) => [
      `$JS.API.CONSUMER.INFO.${stream}.${name}`,
      `$JS.API.CONSUMER.MSG.NEXT.${stream}.${name}`,
      `$JS.ACK.${stream}.${name}.>`,
      stream === eventStream ? "cd.dead.v1.events.>" : `cd.dead.v1.work.${service}.>`
    ])

/** Direct gets, and the last revision and single messages as the leader has them. Never a consumer: it could be told to deliver into another bucket. */
const readsBucket = (bucket: string): ReadonlyArray<string> => [
  `$JS.API.DIRECT.GET.KV_${bucket}`,
  `$JS.API.DIRECT.GET.KV_${bucket}.>`,
  `$JS.API.STREAM.INFO.KV_${bucket}`,
  `$JS.API.STREAM.MSG.GET.KV_${bucket}`
]

const provisions = (): ReadonlyArray<string> => [
  ...[...streams.map(({ name }) => name), ...allBuckets.map(({ bucket }) => `KV_${bucket}`)].flatMap((name) => [
    `$JS.API.STREAM.CREATE.${name}`,
    `$JS.API.STREAM.UPDATE.${name}`,
    `$JS.API.STREAM.INFO.${name}`
  ]),
  ...consumers.flatMap(({ stream, name }) => [`$JS.API.CONSUMER.CREATE.${stream}.${name}`, `$JS.API.CONSUMER.CREATE.${stream}.${name}.>`])
]

const unique = (subjects: ReadonlyArray<string>): ReadonlyArray<string> => [...new Set(subjects)].sort()
