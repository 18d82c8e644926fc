/**
 * The lifecycle, played for the gateway's tests: connections are born and changed, and never move by themselves.
 *
 * Owns: the connections in memory, and their rows in the lifecycle's own tables, so that the gateway's reads go through the real views. Leaves
 * to the test: refusals and creates that hang, through `refuse` and `hold`.
 */
import type { Database } from "@connect-domain/database/Database.ts"
import { newChallengeValue } from "@connect-domain/domain/Challenge.ts"
import { kindOf } from "@connect-domain/domain/Hostname.ts"
import { type ConnectionView, noCertificate } from "@connect-domain/messages/connection.ts"
import { changedEdge } from "@connect-domain/messages/edge.ts"
import * as lifecycle from "@connect-domain/messages/lifecycle.ts"
import { CallError } from "@connect-domain/nats/Calls.ts"
import { Effect } from "effect"
import { notFound, type StandIns, switched } from "./switched.ts"

export const serveLifecycle = (state: StandIns, database: Database["Service"]) =>
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
  setup_type: payload.setup_type ?? (payload.credentials.length > 0 ? "automatic" : "manual"),
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
