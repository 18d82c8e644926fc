/**
 * A gateway on a real Postgres and a real NATS, with stand-ins for the services that it asks, for its integration tests.
 *
 * Owns: starting and stopping, two seeded tenants, a small HTTP client. Leaves to `standIns.ts`: what the other services answer.
 */
import { Database } from "@connect-domain/database/Database.ts"
import { type PostgresServer, startPostgres } from "@connect-domain/database/testing/PostgresServer.ts"
import { freePorts } from "@connect-domain/domain/testing/freePorts.ts"
import { Nats } from "@connect-domain/nats/Nats.ts"
import { provision } from "@connect-domain/nats/provision.ts"
import { type NatsServer, startNats } from "@connect-domain/nats/testing/NatsServer.ts"
import { ConfigProvider, Effect, Exit, Layer, Scope } from "effect"
import { type Seeded, seed } from "../seed.ts"
import { layer } from "../service.ts"
import { makeStandIns } from "./standIns.ts"
import type { StandIns } from "./switched.ts"

export interface Answer {
  readonly status: number
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
  readonly body: any
  readonly text: string
  readonly headers: Headers
}

export interface Call {
  /** Default: the first tenant's key; null sends none. */
  readonly key?: string | null
  readonly body?: unknown
  readonly raw?: string | Uint8Array
  readonly headers?: Readonly<Record<string, string>>
}

export interface GatewayUnderTest {
  readonly url: string
  readonly internal: string
  readonly mine: Seeded
  readonly other: Seeded
  readonly postgres: PostgresServer
  readonly nats: NatsServer
  readonly standIns: StandIns
  readonly env: Readonly<Record<string, string>>
  readonly call: (method: string, path: string, call?: Call) => Promise<Answer>
  /** Runs SQL as superuser. */
  readonly sql: <Row>(build: Parameters<Database["Service"]["query"]>[0]) => Promise<ReadonlyArray<Row>>
  readonly stop: () => Promise<void>
}

const start = async (extra: Readonly<Record<string, string>>) => {
  const scope = Effect.runSync(Scope.make())
  const run = <A, E>(effect: Effect.Effect<A, E, Scope.Scope>) => Effect.runPromise(Scope.provide(effect, scope))
  const postgres = await run(startPostgres())
  const nats = await run(startNats())
  const databaseUrl = await run(postgres.migratedDatabase)
  const [apiPort, internalPort] = (await freePorts(2)) as [number, number]
  const env: Record<string, string> = {
    CD_MODE: "sandbox",
    CD_LOG_LEVEL: "error",
    DATABASE_URL: databaseUrl,
    NATS_URL: nats.url,
    CD_EDGE_HOSTNAME: "edge.connect.test",
    CD_EDGE_ADDRESSES: "127.0.0.1",
    CD_NETWORK_ALLOW: "127.0.0.0/8,::1/128",
    CD_RATE_LIMIT: "0",
    CD_API_LISTEN: `127.0.0.1:${apiPort}`,
    CD_INTERNAL_LISTEN: `127.0.0.1:${internalPort}`,
    ...extra
  }
  const config = ConfigProvider.layer(ConfigProvider.fromEnvRecord(env))
  const root = Database.layerFor({ url: databaseUrl, name: "test" })
  const rootContext = await run(Layer.build(root))
  const withRoot = <A, E>(effect: Effect.Effect<A, E, Database>) => Effect.runPromise(Effect.provide(effect, rootContext))
  const mine = await withRoot(seed({ name: "mine", origin: "http://127.0.0.1:9" }))
  const other = await withRoot(seed({ name: "other" }))
  await run(Effect.provide(Effect.andThen(provision, Effect.void), Nats.layer("lifecycle").pipe(Layer.provide(config))))
  const standIns = await run(makeStandIns(config, rootContext))
  await run(Layer.build(layer.pipe(Layer.provide(config))))
  return { scope, postgres, nats, env, mine, other, standIns, withRoot, apiPort, internalPort }
}

export const startGateway = async (extra: Readonly<Record<string, string>> = {}): Promise<GatewayUnderTest> => {
  const { scope, withRoot, apiPort, internalPort, ...rest } = await start(extra)
  const url = `http://127.0.0.1:${apiPort}`
  return {
    ...rest,
    url,
    internal: `http://127.0.0.1:${internalPort}`,
    call: (method, path, call = {}) => request(url, rest.mine.api_key, method, path, call),
    sql: (build) => withRoot(Effect.flatMap(Database, (database) => database.query(build))) as never,
    stop: () => Effect.runPromise(Scope.close(scope, Exit.void))
  }
}

const request = async (url: string, defaultKey: string, method: string, path: string, call: Call): Promise<Answer> => {
  const key = call.key === undefined ? defaultKey : call.key
  const body = call.raw ?? (call.body === undefined ? undefined : JSON.stringify(call.body))
  const response = await fetch(`${url}${path}`, {
    method,
    headers: {
      ...(key === null ? {} : { authorization: `Bearer ${key}` }),
      ...(body === undefined ? {} : { "content-type": "application/json" }),
      ...call.headers
    },
    ...(body === undefined ? {} : { body: body as string })
  })
  const text = await response.text()
  const isJson = response.headers.get("content-type")?.startsWith("application/json") === true
  return { status: response.status, text, body: isJson && text !== "" ? JSON.parse(text) : undefined, headers: response.headers }
}
