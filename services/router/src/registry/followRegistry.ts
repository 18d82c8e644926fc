/**
 * Keeps the registry equal to the buckets, for as long as NATS lets it.
 *
 * Owns: the three watches, and fetching a certificate that an entry names before the watch brought it. Leaves to libs/nats: surviving restarts,
 * cuts and new buckets; to `Registry.ts`: what an event changes.
 */
import { certificates, challenges, type HostnameEntry, hostnames, metaKey, type RegistryMeta } from "@connect-domain/messages/buckets.ts"
import { isKey, Kv, type WatchEvent } from "@connect-domain/nats/Kv.ts"
import { Effect, Latch, Stream } from "effect"
import type { Registry } from "./Registry.ts"

const applyHostname = (registry: Registry, event: WatchEvent<HostnameEntry | RegistryMeta>): void => {
  if (event.type === "reset") {
    registry.beginHostnames()
    return
  }
  if (event.type === "complete") {
    registry.endHostnames(event.revision)
    return
  }
  if (event.value === undefined) {
    registry.markerAt(event.key, event.revision)
    return
  }
  if (event.key === metaKey) {
    registry.putMeta(event.value as RegistryMeta, event.revision)
    return
  }
  if ("hostname" in event.value) registry.putHostname(usable(event.value), event.revision)
}

/** A certificate under an id that is no key will never come: nothing is to wait for it. */
const usable = (entry: HostnameEntry): HostnameEntry =>
  entry.certificate_id === null || isKey(entry.certificate_id) ? entry : { ...entry, certificate_id: null }

const retryMillis = 500
/** Between two rounds, each of so many at most: a rebuild may miss a hundred thousand for a while. */
const pauseMillis = 5
const fetchAtOnce = 64
/** An edge without a snapshot reads the certificates first, for so long at most: nothing is missing then, and no name needs one fetched by itself. */
const certificatesFirst = "30 seconds"

/** Runs for ever. `onCurrent`: the hostnames' bucket was asked just now, and the registry has all of it. */
export const followRegistry = (registry: Registry, onCurrent: () => void = () => {}) =>
  Effect.gen(function* () {
    const kv = yield* Kv
    const sealed = kv.bucket(certificates)
    const wanted = yield* Latch.make(false)
    const certificatesRead = yield* Latch.make(registry.ready)
    /** The certificates' watch may be behind the hostnames': an applied entry must not wait for it. */
    const fetch = (id: string) =>
      Effect.map(sealed.get(id), (entry) => (entry === undefined ? registry.certificateNotFound(id) : registry.putCertificate(entry.value)))
    /** True: there may be more to ask for at once. */
    const fetchMissing = Effect.suspend(() => {
      const ids = registry.missingCertificates(fetchAtOnce)
      return Effect.as(Effect.forEach(ids, fetch, { concurrency: 16, discard: true }), ids.length === fetchAtOnce)
    }).pipe(Effect.catch(() => Effect.succeed(false)))
    const followHostnames = kv
      .bucket(hostnames)
      .watchTelling(onCurrent)
      .pipe(
        Stream.runForEach((event) =>
          Effect.sync(() => {
            const before = registry.missingCount
            applyHostname(registry, event)
            if (registry.missingCount > before) wanted.openUnsafe()
          })
        )
      )
    const followCertificates = sealed.watch.pipe(
      Stream.runForEach((event) =>
        Effect.sync(() => {
          if (event.type === "reset") registry.beginCertificates()
          else if (event.type === "complete") {
            registry.endCertificates()
            certificatesRead.openUnsafe()
          } else if (event.value === undefined) registry.deleteCertificate(event.key)
          else registry.putCertificate(event.value)
        })
      )
    )
    const followChallenges = kv.bucket(challenges).watch.pipe(
      Stream.runForEach((event) =>
        Effect.sync(() => {
          if (event.type === "reset") registry.beginChallenges()
          else if (event.type === "complete") registry.endChallenges(event.revision)
          else if (event.value === undefined) registry.deleteChallenge(event.key, event.revision)
          else registry.putChallenge(event.value, event.revision)
        })
      )
    )
    const stillMissing = Effect.gen(function* () {
      wanted.closeUnsafe()
      const more = yield* fetchMissing
      yield* Effect.sleep(pauseMillis)
      if (!more) yield* Effect.timeoutOption(Latch.await(wanted), retryMillis)
    }).pipe(Effect.forever)
    const hostnamesAfter = Effect.andThen(Effect.timeoutOption(Latch.await(certificatesRead), certificatesFirst), followHostnames)
    yield* Effect.all([hostnamesAfter, followCertificates, followChallenges, stillMissing], { concurrency: "unbounded", discard: true })
  })
