/** Servers, the service and its callers for one test file, each under its own NATS user. Owns: starting them on free ports, and the calls that the gateway makes. */
import { randomUUID } from "node:crypto"
import { Database } from "@connect-domain/database/Database.ts"
import { startPostgres } from "@connect-domain/database/testing/PostgresServer.ts"
import { uuidv7 } from "@connect-domain/domain/uuidv7.ts"
import type { ConnectionView } from "@connect-domain/messages/connection.ts"
import { createConnection, verifyConnection } from "@connect-domain/messages/lifecycle.ts"
import { Calls } from "@connect-domain/nats/Calls.ts"
import { messaging } from "@connect-domain/nats/messaging.ts"
import { createUsers } from "@connect-domain/nats/serverConfiguration.ts"
import { startNats } from "@connect-domain/nats/testing/NatsServer.ts"
import { ConfigProvider, Context, Effect, Layer, References, Schedule } from "effect"
import { layer as lifecycle } from "../service.ts"
import { World } from "./World.ts"

export class Servers extends Context.Service<
  Servers,
  {
    readonly nats: Effect.Success<ReturnType<typeof startNats>>
    readonly postgres: Effect.Success<ReturnType<typeof startPostgres>>
    readonly environment: Readonly<Record<string, string>>
    readonly world: World
  }
>()("test/Servers") {
  static readonly layer = Layer.effect(
    Servers,
    Effect.gen(function* () {
      const users = createUsers()
      const [nats, postgres] = yield* Effect.all([startNats({ users }), startPostgres()], { concurrency: 2 })
      const environment = {
        ...Object.fromEntries(users.map(({ name, seed }) => [`CD_${name.toUpperCase()}_NATS_SEED`, seed])),
        NATS_URL: nats.url,
        DATABASE_URL: yield* postgres.migratedDatabase,
        CD_EDGE_HOSTNAME: "edge.example.net",
        CD_EDGE_ADDRESSES: "192.0.2.1, 2001:db8::1",
        CD_LIVE_CHECK_SECONDS: "3600",
        CD_LOG_LEVEL: process.env.CD_LOG_LEVEL ?? "error"
      }
      return { nats, postgres, environment, world: new World() }
    })
  )
}

const quiet = Layer.succeed(References.MinimumLogLevel, "Error")
const configuredWith = (more: Readonly<Record<string, string>>) =>
  Layer.unwrap(Effect.map(Servers, ({ environment }) => ConfigProvider.layer(ConfigProvider.fromEnvRecord({ ...environment, ...more }))))
const configured = configuredWith({})
const world = Layer.unwrap(Effect.map(Servers, (servers) => servers.world.layer))

export const service = Layer.fresh(lifecycle).pipe(Layer.provide(configured))
/** The servers, the other services, and what a test asks with; without the lifecycle. */
export const surroundings = Layer.mergeAll(
  world,
  messaging("operator"),
  Layer.unwrap(Effect.map(Servers, ({ environment }) => Database.layerFor({ url: environment.DATABASE_URL!, name: "test", size: 4 })))
).pipe(Layer.provide([configured, quiet]), Layer.provideMerge(Servers.layer))
export const everything = service.pipe(Layer.provideMerge(surroundings))
/** With settings of its own. */
export const everythingWith = (settings: Readonly<Record<string, string>>) =>
  Layer.fresh(lifecycle).pipe(Layer.provide(configuredWith(settings)), Layer.provideMerge(surroundings))

export const tenant = randomUUID()
export const otherTenant = randomUUID()
const application = randomUUID()

type Request = typeof createConnection.payload.Type

export const create = (hostname: string, given: Partial<Request> = {}) =>
  Effect.flatMap(Calls, (calls) =>
    calls.request(createConnection, {
      connection_id: uuidv7(),
      tenant_id: tenant,
      application_id: application,
      environment: "test",
      hostname,
      setup_type: null,
      record_template: null,
      dns_records: null,
      origin: null,
      batch_id: null,
      metadata: {},
      credentials: [],
      application_origin: "https://origin.example",
      ...given
    })
  ).pipe(Effect.map(({ connection }) => connection))

export const verify = ({ id: connection_id, tenant_id }: ConnectionView) =>
  Effect.flatMap(Calls, (calls) => calls.request(verifyConnection, { tenant_id, connection_id })).pipe(
    Effect.map(({ connection }) => connection)
  )

export interface Stored {
  readonly state: string
  readonly error_code: string | null
  readonly provider: string | null
  readonly version: number
}
export const stored = (id: string) =>
  Effect.flatMap(Database, (db) => db.query<Stored>((sql) => sql`select * from lifecycle.published_connections where id = ${id}`)).pipe(
    Effect.map(([row]) => row!)
  )

/** Looks again until the check's assertions hold. Generous, since a wait ends as soon as they do: only a red run is long. */
export const eventually = <A, E, R>(check: Effect.Effect<A, E, R>) =>
  Effect.retry(
    Effect.catchDefect(check, (defect) => Effect.fail(defect)),
    Schedule.spaced("25 millis").pipe(Schedule.upTo({ duration: "60 seconds" }))
  )

/** Waits until the connection is in this state; fails with the state it is in. */
export const reaches = (id: string, state: string) =>
  eventually(
    Effect.flatMap(stored(id), (row) =>
      row.state === state ? Effect.succeed(row) : Effect.fail(new Error(`${id} is ${row.state}, not ${state}`))
    )
  )

export const eventsOf = (id: string) =>
  Effect.flatMap(Database, (db) =>
    db.query<{ type: string; sequence: number }>(
      (sql) => sql`select type, sequence from lifecycle.published_events where connection_id = ${id} order by position`
    )
  ).pipe(Effect.map((rows) => rows.map((row) => row.type)))
