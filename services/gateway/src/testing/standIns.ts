/**
 * The services that the gateway asks, played on a real NATS with the real call definitions: small, in memory, and failing on request.
 *
 * Owns: answers that are right in form. The lifecycle's stand-in writes the lifecycle's own tables, so that reads go through its views.
 */
import { Database } from "@connect-domain/database/Database.ts"
import { newChallengeValue } from "@connect-domain/domain/Challenge.ts"
import { kindOf } from "@connect-domain/domain/Hostname.ts"
import * as billing from "@connect-domain/messages/billing.ts"
import { type ConnectionView, noCertificate } from "@connect-domain/messages/connection.ts"
import * as connector from "@connect-domain/messages/connector.ts"
import { changedEdge } from "@connect-domain/messages/edge.ts"
import * as lifecycle from "@connect-domain/messages/lifecycle.ts"
import * as traffic from "@connect-domain/messages/traffic.ts"
import * as webhooks from "@connect-domain/messages/webhooks.ts"
import { CallError, Calls } from "@connect-domain/nats/Calls.ts"
import { messaging } from "@connect-domain/nats/messaging.ts"
import { type Context, Effect, Layer, type Scope } from "effect"

export interface StandIns {
  /** Subject → what the next calls are refused with; delete to answer again. */
  readonly refuse: Map<string, CallError>
  /** Connection ids of reservations that were made and not released. */
  readonly reserved: Set<string>
  readonly created: Map<string, ConnectionView>
  /** Creates that came in, repetitions included. */
  readonly createCalls: Array<string>
  /** While set, creates wait for it. */
  hold: Promise<void> | undefined
}

const notFound = new CallError({ code: "not_found", message: "no such object" })

export const makeStandIns = (config: Layer.Layer<never>, root: Context.Context<Database>): Effect.Effect<StandIns, unknown, Scope.Scope> =>
  Effect.gen(function* () {
    const state: StandIns = { refuse: new Map(), reserved: new Set(), created: new Map(), createCalls: [], hold: undefined }
    const database = yield* Effect.provide(Database, root)
    const services = [
      ["lifecycle", serveLifecycle(state, database)],
      ["billing", serveBilling(state)],
      ["connector", serveConnector(state)],
      ["webhooks", serveWebhooks(state)]
    ] as const
    for (const [name, serve] of services) {
      const context = yield* Layer.build(messaging(name).pipe(Layer.provide(config)))
      yield* Effect.provide(serve, context)
    }
    return state
  })

type Serve = Calls["Service"]["serve"]

/** Every handler behind the switch `refuse`. */
const switched = (state: StandIns) =>
  Effect.map(
    Calls,
    (calls): Serve =>
      (definition, handler) =>
        calls.serve(definition, (payload) =>
          Effect.suspend(() => {
            const refusal = state.refuse.get(definition.subject)
            return refusal === undefined ? handler(payload) : Effect.fail(refusal)
          })
        )
  )

const serveBilling = (state: StandIns) =>
  Effect.gen(function* () {
    const serve = yield* switched(state)
    const subscription = { plan: "free", status: "active", period: "2030-01", started_at: new Date().toISOString(), limits: { connect: 3 } }
    yield* serve(billing.reserveConnect, ({ connection_id }) =>
      Effect.as(
        Effect.sync(() => state.reserved.add(connection_id)),
        {}
      )
    )
    yield* serve(billing.releaseConnect, ({ connection_id }) =>
      Effect.as(
        Effect.sync(() => state.reserved.delete(connection_id)),
        {}
      )
    )
    yield* serve(billing.listPlans, () =>
      Effect.succeed({ plans: [{ key: "free", name: "Free", price_minor: 0, currency: "EUR", limits: { connect: 3 } }] })
    )
    yield* serve(billing.readSubscription, () => Effect.succeed(subscription))
    yield* serve(billing.subscribe, ({ plan }) => Effect.succeed({ ...subscription, plan }))
    yield* serve(billing.readUsage, ({ period }) => Effect.succeed({ period, usage: [{ kind: "connect" as const, used: 1, limit: null }] }))
    yield* serve(traffic.readTraffic, ({ from }) => {
      const statuses = { "1xx": 0, "2xx": 2, "3xx": 0, "4xx": 1, "5xx": 0, none: 0 }
      const latency = traffic.latencyBounds.map(() => 0)
      return Effect.succeed({ points: [{ at: from, requests: 3, bytes_in: 4, bytes_out: 5, statuses, latency: [...latency, 3] }] })
    })
    yield* serve(billing.startCheckout, () =>
      Effect.fail(new CallError({ code: "billing_unavailable", message: "no billing provider is configured" }))
    )
  })

const serveConnector = (state: StandIns) =>
  Effect.gen(function* () {
    const serve = yield* switched(state)
    const field = (name: string, required: boolean) => ({ name, label: name, secret: name === "api_key", required })
    yield* serve(connector.listProviders, () =>
      Effect.succeed({
        providers: [
          {
            key: "powerdns",
            name: "PowerDNS",
            credential_fields: [field("url", true), field("api_key", true), field("server_id", false)],
            capabilities: { wildcard: true },
            guide: "https://docs.example.com/powerdns",
            logo: null
          }
        ]
      })
    )
    yield* serve(connector.testCredential, () => Effect.succeed({ ok: true, zones: ["acme.test"] }))
    yield* serve(connector.checkDomain, ({ hostname }) =>
      Effect.succeed({
        hostname,
        apex: hostname,
        kind: "apex" as const,
        zone: hostname,
        name_servers: [],
        provider: null,
        setup_types: [{ type: "manual" as const, offered: true, reason: "always" }],
        capabilities: { wildcard: true },
        apex_flattening: false,
        www_redirect_recommended: true,
        conflicts: [],
        findings: []
      })
    )
  })

const serveWebhooks = (state: StandIns) =>
  Effect.gen(function* () {
    const serve = yield* switched(state)
    const endpoints = new Map<string, webhooks.EndpointView & { readonly tenant_id: string }>()
    const find = (tenant: string, id: string) => {
      const found = endpoints.get(id)
      return found === undefined || found.tenant_id !== tenant ? Effect.fail(notFound) : Effect.succeed(found)
    }
    const delivery = (id: string): webhooks.DeliveryView => ({
      id,
      event_id: id,
      endpoint_id: id,
      status: "delivered",
      attempts: [],
      next_retry_at: null
    })
    yield* serve(webhooks.createEndpoint, ({ tenant_id, endpoint_id, application_id, url, events }) => {
      const endpoint = { id: endpoint_id, tenant_id, application_id, url, events, active: true, created_at: new Date().toISOString() }
      endpoints.set(endpoint_id, endpoint)
      return Effect.succeed({ ...endpoint, signing_secret: "whsec_c2VjcmV0" })
    })
    yield* serve(webhooks.listEndpoints, ({ tenant_id }) =>
      Effect.sync(() => ({ data: [...endpoints.values()].filter((endpoint) => endpoint.tenant_id === tenant_id), more: false }))
    )
    yield* serve(webhooks.readEndpoint, ({ tenant_id, endpoint_id }) => find(tenant_id, endpoint_id))
    yield* serve(webhooks.updateEndpoint, ({ tenant_id, endpoint_id, ...change }) =>
      Effect.map(find(tenant_id, endpoint_id), (endpoint) => ({ ...endpoint, ...change }))
    )
    yield* serve(webhooks.deleteEndpoint, ({ tenant_id, endpoint_id }) =>
      Effect.sync(() => {
        if (endpoints.get(endpoint_id)?.tenant_id === tenant_id) endpoints.delete(endpoint_id)
        return {}
      })
    )
    yield* serve(webhooks.rotateSecret, ({ tenant_id, endpoint_id }) =>
      Effect.map(find(tenant_id, endpoint_id), (endpoint) => ({ ...endpoint, signing_secret: "whsec_bmV3" }))
    )
    yield* serve(webhooks.testEndpoint, ({ tenant_id, endpoint_id }) =>
      Effect.map(find(tenant_id, endpoint_id), () => delivery(endpoint_id))
    )
    yield* serve(webhooks.listDeliveries, () => Effect.succeed({ data: [], more: false }))
    yield* serve(webhooks.replayDelivery, () => Effect.fail(notFound))
  })

const serveLifecycle = (state: StandIns, database: Database["Service"]) =>
  Effect.gen(function* () {
    const serve = yield* switched(state)
    const find = (tenant: string, id: string) => {
      const found = state.created.get(id)
      return found === undefined || found.tenant_id !== tenant ? Effect.fail(notFound) : Effect.succeed({ connection: found })
    }
    yield* serve(lifecycle.createConnection, (payload) =>
      Effect.gen(function* () {
        state.createCalls.push(payload.connection_id)
        if (state.hold !== undefined) yield* Effect.promise(() => state.hold!)
        const known = state.created.get(payload.connection_id)
        if (known !== undefined) return { connection: known }
        const connection = viewOf(payload)
        yield* Effect.orDie(insert(database, connection))
        state.created.set(connection.id, connection)
        return { connection }
      })
    )
    const one = (payload: { readonly tenant_id: string; readonly connection_id: string }) => find(payload.tenant_id, payload.connection_id)
    yield* serve(lifecycle.updateConnection, (payload) =>
      Effect.flatMap(one(payload), ({ connection }) =>
        payload.expected_version !== null && payload.expected_version !== connection.version
          ? Effect.fail(new CallError({ code: "precondition_failed", message: "changed meanwhile" }))
          : Effect.sync(() => {
              const next = {
                ...connection,
                ...(payload.metadata === undefined ? {} : { metadata: payload.metadata }),
                edge: changedEdge(connection.edge ?? {}, payload.edge),
                version: connection.version + 1
              }
              state.created.set(connection.id, next)
              return { connection: next }
            })
      )
    )
    yield* serve(lifecycle.archiveConnection, (payload) =>
      Effect.map(one(payload), ({ connection }) => ({ connection: { ...connection, state: "archived" as const } }))
    )
    yield* serve(lifecycle.verifyConnection, one)
    yield* serve(lifecycle.applyRecords, one)
    yield* serve(lifecycle.checkRecords, (payload) =>
      Effect.map(one(payload), ({ connection }) => ({
        connection,
        look: {
          verdict: "mismatch" as const,
          looked_at: new Date().toISOString(),
          records: connection.desired_records.map(({ host, type, value }) => ({
            host,
            type,
            value,
            verdict: "mismatch" as const,
            observed_value: null,
            observed_ttl: null,
            servers: [{ server: "ns1.test", address: "127.0.0.1", values: [], verdict: "mismatch" as const, error: null }]
          }))
        },
        eta: null
      }))
    )
  })

type NewConnection = (typeof lifecycle.createConnection)["payload"]["Type"]

const viewOf = (payload: NewConnection): ConnectionView => ({
  id: payload.connection_id,
  tenant_id: payload.tenant_id,
  application_id: payload.application_id,
  environment: payload.environment,
  hostname: payload.hostname,
  kind: kindOf(payload.hostname),
  setup_type: payload.setup_type ?? "manual",
  state: "pending_ownership",
  provider: null,
  batch_id: payload.batch_id,
  error_code: null,
  origin: payload.origin,
  edge: payload.edge ?? {},
  metadata: payload.metadata,
  created_at: new Date().toISOString(),
  updated_at: new Date().toISOString(),
  next_check_at: null,
  desired_records: payload.dns_records ?? [{ host: payload.hostname, type: "CNAME", value: "edge.connect.test", ttl: 300 }],
  observed_records: [],
  ownership_challenge: { name: `_customdomain-challenge.${payload.hostname}`, type: "TXT", value: newChallengeValue() },
  certificate: noCertificate,
  version: 1
})

const insert = (database: Database["Service"], view: ConnectionView) =>
  database.query(
    (sql) => sql`
      insert into lifecycle.connections (id, tenant_id, application_id, environment, hostname, kind, setup_type, automatic, batch_id, metadata,
        origin, desired_records, challenge, state, entered_at, progress_at, certificate, created_at, updated_at)
      values (${view.id}, ${view.tenant_id}, ${view.application_id}, ${view.environment}, ${view.hostname}, ${view.kind}, ${view.setup_type}, false,
        ${view.batch_id}, ${sql.json(view.metadata as never)}, ${view.origin}, ${sql.json(view.desired_records as never)},
        ${sql.json(view.ownership_challenge)}, ${view.state}, now(), now(), ${sql.json(view.certificate as never)}, ${view.created_at}, ${view.updated_at})`
  )
