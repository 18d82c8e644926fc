/**
 * Everything around the certifier, for tests: real Postgres, NATS and Pebble, fake edges, and a lifecycle that asks and listens.
 *
 * Owns: the servers, one user for each service under its production permissions, and what tests may ask for. Leaves the DNS and the routers
 * to their stand-ins (`FakeDns.ts`, `FakeEdge.ts`; the real router: `spawnRouter.ts`), waiting to `eventually.ts`.
 * Certifiers run as layers in this process (`certifier`) or as processes of their own that can be killed (`spawnCertifier`).
 */
import { type ChildProcess, spawn } from "node:child_process"
import { randomBytes } from "node:crypto"
import { join } from "node:path"
import { Database } from "@connect-domain/database/Database.ts"
import { migrateDatabase } from "@connect-domain/database/migrate.ts"
import { type PostgresServer, startPostgres } from "@connect-domain/database/testing/PostgresServer.ts"
import { someMigrations } from "@connect-domain/database/testing/someMigrations.ts"
import { uuidv7 } from "@connect-domain/domain/uuidv7.ts"
import { certificates as certificatesBucket } from "@connect-domain/messages/buckets.ts"
import { ensureCertificate, persistRecord, releaseCertificate, replaceCertificates } from "@connect-domain/messages/certifier.ts"
import { certificateChanged } from "@connect-domain/messages/lifecycle.ts"
import type { DesiredRecord } from "@connect-domain/messages/record.ts"
import { type CallError, Calls } from "@connect-domain/nats/Calls.ts"
import { Kv } from "@connect-domain/nats/Kv.ts"
import { messaging } from "@connect-domain/nats/messaging.ts"
import { Nats } from "@connect-domain/nats/Nats.ts"
import { provision } from "@connect-domain/nats/provision.ts"
import { createUsers } from "@connect-domain/nats/serverConfiguration.ts"
import { type NatsServer, startNats } from "@connect-domain/nats/testing/NatsServer.ts"
import { handle, Work } from "@connect-domain/nats/Work.ts"
import { ConfigProvider, Context, Effect, Layer, type Scope } from "effect"
import { layer as certifierLayer } from "../src/service.ts"
import { type FakeDns, makeDns, serveDns } from "./FakeDns.ts"
import { type FakeEdge, startEdge } from "./FakeEdge.ts"
import { Pebble, type PebbleOptions } from "./Pebble.ts"
import { spawnRouter } from "./spawnRouter.ts"

export type Notice = (typeof certificateChanged)["payload"]["Type"]

export interface Asked {
  readonly connection_id: string
  readonly tenant_id: string
  readonly claim_id: string
  readonly hostname: string
  readonly environment: "test" | "live"
  readonly records?: ReadonlyArray<DesiredRecord>
  readonly reason?: "records_changed" | "asked"
}

export interface WorldOptions {
  readonly pebble?: PebbleOptions | false
  readonly env?: Readonly<Record<string, string>>
  readonly edgeLagMillis?: number
  /** The real router answers the CA, in a process of its own, instead of a stand-in. */
  readonly router?: boolean
}

/** The roles and the certifier's own tables: other services' migrations are none of its business. */
export const ownMigrations = someMigrations(["0001", "0010", "0014", "0020", "003"])

const key = () => `k1:${randomBytes(32).toString("base64")}`

export interface World {
  readonly env: Readonly<Record<string, string>>
  readonly pebble: Pebble
  readonly postgres: PostgresServer
  readonly nats: NatsServer
  readonly edge: FakeEdge
  readonly dns: FakeDns
  /** What the lifecycle was told, in order of arrival. */
  readonly notices: Array<Notice>
  readonly database: Database["Service"]
  readonly kv: Kv["Service"]
  /** The buckets as the lifecycle may write them. */
  readonly registry: Kv["Service"]
  readonly provision: Effect.Effect<void>
  readonly ensure: (asked: Asked) => Effect.Effect<void>
  readonly release: (asked: Asked) => Effect.Effect<void>
  /** How many of what was asked no certifier has taken in. */
  readonly backlog: Effect.Effect<number>
  /** Runs a certifier in this process until the scope closes. */
  readonly certifier: Effect.Effect<void, never, Scope.Scope>
  /** As `certifier`, with further settings. */
  readonly certifierWith: (env: Readonly<Record<string, string>>) => Effect.Effect<void, never, Scope.Scope>
  readonly spawnCertifier: () => ChildProcess
  /** As the lifecycle asks: lasting records to offer for a name of a live application. */
  readonly persistValues: (hostname: string) => Effect.Effect<ReadonlyArray<string>>
  /** The operator's call; gives back how many match. */
  readonly replace: (filter: (typeof replaceCertificates)["payload"]["Type"]) => Effect.Effect<number, CallError>
  /** As the gateway and the operator ask: any call of the certifier's. */
  readonly calls: Calls["Service"]
  readonly bucketKeys: Effect.Effect<ReadonlyArray<string>>
}

export const ask = (hostname: string, environment: "test" | "live" = "live"): Asked => {
  const id = uuidv7()
  return { connection_id: id, tenant_id: uuidv7(), claim_id: id, hostname, environment }
}

/** A fresh database with the certifier's tables, on a server of its own; its address. */
export const makeDatabase = Effect.gen(function* () {
  const url = yield* (yield* startPostgres()).emptyDatabase
  yield* migrateDatabase(url, yield* ownMigrations)
  return url
})

export const makeWorld = Effect.fnUntraced(function* (options: WorldOptions = {}) {
  const pebble = yield* Effect.acquireRelease(
    Effect.promise(() => Pebble.start(options.pebble === false ? {} : options.pebble)),
    (running) => Effect.promise(() => running.stop())
  )
  // Every service under the permissions that production gives it.
  const users = createUsers()
  const [postgres, nats] = yield* Effect.all([startPostgres(), startNats({ users })], { concurrency: 2 })
  const databaseUrl = yield* postgres.emptyDatabase
  yield* migrateDatabase(databaseUrl, yield* ownMigrations)
  const env: Record<string, string> = {
    CD_MODE: "sandbox",
    CD_NETWORK_ALLOW: "127.0.0.0/8,::1/128",
    DATABASE_URL: databaseUrl,
    CD_DATABASE_POOL: "4",
    NATS_URL: nats.url,
    CD_ACME_DIRECTORY: pebble.directory,
    CD_ACME_DIRECTORY_TEST: pebble.directory,
    CD_ACME_CA_FILE: pebble.caFile,
    CD_ACME_KEK: key(),
    EDGE_KEK: key(),
    CD_LOG_LEVEL: "warn",
    ...Object.fromEntries(users.map(({ name, seed }) => [`CD_${name.toUpperCase()}_NATS_SEED`, seed])),
    ...options.env
  }
  const config = ConfigProvider.layer(ConfigProvider.fromEnvRecord(env))
  const sides = yield* Layer.build(Layer.provide(Layer.fresh(messaging("lifecycle")), config))
  const routers = yield* Layer.build(Layer.provide(Layer.fresh(Layer.provideMerge(Kv.layer, Nats.layer("router"))), config))
  const operator = yield* Layer.build(Layer.provide(Layer.fresh(Layer.provideMerge(Calls.layer, Nats.layer("operator"))), config))
  const provisioned = provision.pipe(Effect.provideContext(sides), Effect.orDie)
  yield* provisioned
  const place = { id: "edge-1", port: pebble.httpPort, tlsPort: pebble.tlsPort, ring: env.EDGE_KEK! }
  const edge =
    options.router === true
      ? yield* spawnRouter(env, pebble)
      : yield* Effect.provideContext(startEdge({ ...place, ...(options.edgeLagMillis && { lagMillis: options.edgeLagMillis }) }), routers)
  const dns = makeDns()
  const connector = yield* Layer.build(Layer.provide(Layer.fresh(Layer.provideMerge(Calls.layer, Nats.layer("connector"))), config))
  yield* serveDns(dns, pebble).pipe(Effect.provideContext(connector), Effect.orDie)
  const work = Context.get(sides, Work)
  const kv = Context.get(routers, Kv)
  const notices: Array<Notice> = []
  yield* work
    .consume("lifecycle_connection", [handle(certificateChanged, (payload) => Effect.sync(() => void notices.push(payload)))])
    .pipe(Effect.provide(config), Effect.orDie)
  const database = Context.get(yield* Layer.build(Database.layerFor({ url: databaseUrl, name: "test" })), Database)

  const certifierWith = (more: Readonly<Record<string, string>>) => {
    const settings = ConfigProvider.layer(ConfigProvider.fromEnvRecord({ ...env, ...more }))
    return Effect.asVoid(Effect.orDie(Layer.build(Layer.provide(Layer.fresh(certifierLayer), settings))))
  }

  return {
    env,
    pebble,
    postgres,
    nats,
    edge,
    dns,
    notices,
    database,
    kv,
    registry: Context.get(sides, Kv),
    provision: provisioned,
    ensure: (asked) => Effect.orDie(work.send(ensureCertificate, asked, { id: uuidv7() })),
    release: ({ connection_id, claim_id, hostname }) =>
      Effect.orDie(work.send(releaseCertificate, { connection_id, claim_id, hostname }, { id: uuidv7() })),
    backlog: Effect.orDie(work.backlog("certifier")),
    certifier: certifierWith({}),
    certifierWith,
    spawnCertifier: () =>
      spawn(process.execPath, [join(import.meta.dirname, "../src/main.ts")], {
        env: { PATH: process.env.PATH, ...env },
        stdio: ["ignore", "inherit", "inherit"]
      }),
    replace: (filter) => Effect.map(Context.get(operator, Calls).request(replaceCertificates, filter), ({ matching }) => matching),
    persistValues: (hostname) =>
      Context.get(sides, Calls)
        .request(persistRecord, { environment: "live", hostname })
        .pipe(
          Effect.map(({ values }) => values),
          Effect.orDie
        ),
    calls: Context.get(operator, Calls),
    bucketKeys: Effect.orDie(kv.bucket(certificatesBucket).keys)
  } satisfies World
})
