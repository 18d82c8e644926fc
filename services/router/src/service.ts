/**
 * The router service: settings, the snapshot, NATS, and the edge itself.
 *
 * Owns: the order of things. The snapshot is read and both sockets listen before NATS is even tried: an edge serves with everything else down
 * (A11, E16). Leaves to `Router.ts`: the edge; to `controlPlane.ts`: what is exchanged with the other services.
 */
import { readFileSync } from "node:fs"
import { readEdgeAddresses } from "@connect-domain/domain/edgeSettings.ts"
import { addressPolicy } from "@connect-domain/egress/AddressPolicy.ts"
import type { HostnameEntry } from "@connect-domain/messages/buckets.ts"
import { type KeyRing, keyRing } from "@connect-domain/secrets/KeyRing.ts"
import { makeVault } from "@connect-domain/secrets/Vault.ts"
import { healthServer } from "@connect-domain/telemetry/healthServer.ts"
import { Readiness } from "@connect-domain/telemetry/Readiness.ts"
import { OtlpEndpoint, Telemetry } from "@connect-domain/telemetry/Telemetry.ts"
import { Clock, Data, Deferred, Effect, Layer, Option, Queue, Schedule, Tracer } from "effect"
import { claimFolder } from "./claimFolder.ts"
import { controlPlane } from "./controlPlane.ts"
import { readGateSettings } from "./limits/LimitSettings.ts"
import { AccessLog, AccessLogMode } from "./observe/AccessLog.ts"
import { accessLogGauge } from "./observe/innerGauges.ts"
import { publishMetrics } from "./observe/publishMetrics.ts"
import { RequestTraces } from "./observe/RequestTraces.ts"
import { tellProblems } from "./observe/tellProblems.ts"
import { Applications } from "./policy/Applications.ts"
import { ApplicationsFile, applicationGauges } from "./policy/ApplicationsFile.ts"
import { Router } from "./Router.ts"
import * as settings from "./RouterConfig.ts"
import { Registry } from "./registry/Registry.ts"
import { Snapshot, snapshotGauges } from "./registry/Snapshot.ts"
import { ticketKeysAt, ticketPeriodMillis } from "./tls/ticketKeys.ts"
import { sealAtEnd, startTraffic } from "./traffic/startTraffic.ts"

/** A setting or a port that the edge can't start with; `message` says which. */
export class StartError extends Data.TaggedError("StartError")<{ readonly message: string }> {}

const toStartError = (error: unknown) => new StartError({ message: error instanceof Error ? error.message : String(error) })
const toFolderError = (error: unknown) => new StartError({ message: `CD_EDGE_SNAPSHOT_DIR: ${String(error)}` })

const openSnapshot = (registry: Registry) =>
  Effect.gen(function* () {
    const folder = yield* settings.SnapshotDir
    if (Option.isNone(folder)) return undefined
    if (yield* settings.ReusePort) yield* Effect.mapError(claimFolder(folder.value), toFolderError)
    const { report, snapshot } = yield* Effect.acquireRelease(
      Effect.tryPromise({
        try: async () => {
          const snapshot = new Snapshot(folder.value, registry)
          return { snapshot, report: await snapshot.load() }
        },
        catch: toFolderError
      }),
      ({ snapshot }) => Effect.promise(() => snapshot.close())
    )
    for (const problem of report.problems) yield* Effect.logWarning(`snapshot: ${problem}`)
    yield* Effect.logInfo("registry read from the snapshot", { hostnames: registry.size })
    yield* Effect.forkScoped(tellProblems("the registry's snapshot", snapshot))
    return snapshot
  })

const openApplications = (applications: Applications) =>
  Effect.gen(function* () {
    const folder = yield* settings.SnapshotDir
    if (Option.isNone(folder)) return undefined
    const file = yield* Effect.acquireRelease(
      Effect.try({
        try: () => new ApplicationsFile(folder.value, applications),
        catch: toFolderError
      }),
      (file) => Effect.promise(() => file.close())
    )
    yield* Effect.logInfo("applications read from the snapshot", { applications: file.load() })
    yield* Effect.forkScoped(tellProblems("the applications' file", file))
    return file
  })

/** At each turn of the period, at the same time on every edge. */
const rotateTicketKeys = (ring: KeyRing, router: Router) =>
  Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    router.contexts.rotate(ticketKeysAt(ring, now))
    yield* Effect.sleep(ticketPeriodMillis - (now % ticketPeriodMillis))
  }).pipe(Effect.forever)

/** As clients reach this edge. Its HTTP port is 80 to them where its HTTPS port is 443, whatever stands before it. */
const ownPlaces = Effect.gen(function* () {
  const publicHttps = yield* settings.PublicHttpsPort
  const listens = [yield* settings.HttpListen, yield* settings.HttpsListen].map(({ port }) => port)
  return { addresses: yield* readEdgeAddresses, ports: [...listens, publicHttps, ...(publicHttps === 443 ? [80] : [])] }
})

const makeRouter = (registry: Registry, applications: Applications, wanted: Queue.Queue<HostnameEntry>) =>
  Effect.gen(function* () {
    const ring = yield* keyRing("EDGE_KEK")
    const vault = makeVault(ring)
    const trustedProxies = yield* settings.TrustedNetworks
    const policy = yield* addressPolicy
    const caFile = yield* settings.OriginCaFile
    const traces = Option.isSome(yield* OtlpEndpoint) ? new RequestTraces(yield* Tracer.Tracer, yield* settings.TraceRatio) : undefined
    const router = new Router({
      ...{ registry, applications, vault, policy, ensure: (entry: HostnameEntry) => void Queue.offerUnsafe(wanted, entry) },
      contextBytes: (yield* settings.ContextMebibytes) * 1024 * 1024,
      maxConnections: yield* settings.MaxConnections,
      http2: yield* settings.Http2Setting,
      perClient: yield* settings.ClientConnections,
      ...(trustedProxies === undefined ? {} : { trustedProxies }),
      ...(traces === undefined ? {} : { traces }),
      gate: yield* readGateSettings,
      publicHttpsPort: yield* settings.PublicHttpsPort,
      own: yield* ownPlaces,
      connectMillis: (yield* settings.OriginConnectSeconds) * 1000,
      ...(Option.isSome(caFile) ? { originCa: [readFileSync(caFile.value, "utf8")] } : {}),
      pool: {
        perOrigin: yield* settings.OriginConnections,
        queue: yield* settings.OriginQueue,
        queueMillis: (yield* settings.OriginQueueSeconds) * 1000,
        responseMillis: (yield* settings.OriginResponseSeconds) * 1000,
        idleMillis: (yield* settings.OriginIdleSeconds) * 1000
      }
    })
    yield* Effect.forkScoped(rotateTicketKeys(ring, router))
    const log = new AccessLog(yield* AccessLogMode)
    router.metrics.add(accessLogGauge(log))
    router.metrics.onRecord = (record) => {
      if (!record.tunnel) log.write(record)
      traces?.end(record)
    }
    router.metrics.onTunnelClosed = (record) => log.write(record)
    yield* Effect.addFinalizer(() => Effect.sync(() => log.flush()))
    return router
  })

/** How long a process that shares its ports waits to know what those beside it know. */
const catchUpSeconds = 10

/**
 * Beside a process that serves (`CD_EDGE_REUSE_PORT`) the kernel hands the new one its part of the connections as soon as it listens: it must know
 * all names by then (E14). Alone, it serves by its snapshot at once; with NATS gone, both do.
 */
const catchUp = (registry: Registry, applications: Applications) =>
  Effect.gen(function* () {
    if (!(yield* settings.ReusePort)) return
    const wait = Effect.suspend(() => (registry.current && applications.current ? Effect.void : Effect.fail("behind"))).pipe(
      Effect.retry(Schedule.spaced("10 millis")),
      Effect.timeoutOption(`${catchUpSeconds} seconds`)
    )
    if (Option.isNone(yield* wait)) yield* Effect.logWarning("NATS did not give the registry in time; serving by the snapshot")
  })

/** Until the scope ends; then drains. `leaving` is done first: nobody is to wait for this edge, or to send a CA to its closed ports. */
const listen = (router: Router, leaving: Deferred.Deferred<void>) =>
  Effect.gen(function* () {
    const drainMillis = (yield* settings.DrainSeconds) * 1000
    const http = yield* settings.HttpListen
    const https = yield* settings.HttpsListen
    const ports = yield* Effect.acquireRelease(Effect.tryPromise({ try: () => router.start(http, https), catch: toStartError }), () =>
      Effect.andThen(
        Deferred.succeed(leaving, undefined),
        Effect.promise(() => router.stop(drainMillis))
      )
    )
    yield* Effect.logInfo("edge listens", ports)
  })

/** Runs the service; needs nothing but the environment. */
export const layer = Layer.effectDiscard(
  Effect.gen(function* () {
    const registry = new Registry()
    const wanted = yield* Queue.dropping<HostnameEntry>(1024)
    const applications = new Applications()
    const snapshot = yield* openSnapshot(registry)
    const file = yield* openApplications(applications)
    const router = yield* makeRouter(registry, applications, wanted)
    router.metrics.add(...snapshotGauges(snapshot), ...applicationGauges(applications, file))
    const edgeId = yield* settings.EdgeId
    const traffic = yield* startTraffic(router.metrics)
    const observed = router.metrics.onRecord
    router.metrics.onRecord = (record) => {
      observed(record)
      traffic.counters.count(record)
    }
    router.metrics.onTunnelMoved = (connectionId, bytesIn, bytesOut) => void traffic.counters.add(connectionId, bytesIn, bytesOut)
    const leaving = yield* Deferred.make<void>()
    yield* Effect.forkScoped(controlPlane({ registry, router, wanted, traffic, edgeId, leaving }))
    yield* sealAtEnd(traffic)
    yield* Effect.forkScoped(publishMetrics(router.metrics))
    yield* catchUp(registry, applications)
    // Last, so that the drain comes first: what changes while requests finish is still followed.
    yield* listen(router, leaving)
    const readiness = yield* Readiness
    yield* readiness.register(
      "registry",
      Effect.suspend(() => (registry.ready ? Effect.void : Effect.fail(new Error("the registry was not read yet"))))
    )
  })
).pipe(Layer.provideMerge(healthServer("router")), Layer.provide(Layer.fresh(Readiness.layer)), Layer.provide(Telemetry.layer("router")))
