/** `domains:check` and the provider list: the connector's knowledge, asked with the application's plan. */
import { planRecords } from "@connect-domain/connection/planRecords.ts"
import { Database } from "@connect-domain/database/Database.ts"
import { apexOf, canonicalise, kindOf } from "@connect-domain/domain/Hostname.ts"
import { persistRecord } from "@connect-domain/messages/certifier.ts"
import { checkDomain, listProviders } from "@connect-domain/messages/connector.ts"
import { Calls } from "@connect-domain/nats/Calls.ts"
import { Effect, Result } from "effect"
import type { DomainsApi } from "../api/domains.ts"
import { readApplication } from "../applications/readApplication.ts"
import { type Caller, mayUseCredentials } from "../auth/Caller.ts"
import { forbidden, invalid, notFound } from "../http/ApiError.ts"
import type { Handlers } from "../http/Endpoint.ts"
import { Settings } from "../Settings.ts"
import { hostnameProblems } from "./hostnameField.ts"

/** Which application's plan counts: the token's own, else the one named, else none. */
const applicationFor = (caller: Caller, named: string | undefined) => {
  if (caller.kind === "key") return Effect.succeed(named)
  return named === undefined || named === caller.application_id ? Effect.succeed(caller.application_id) : Effect.fail(notFound)
}

/** Does a CA take a TXT record that is set once (DNS-PERSIST-01)? Nobody waits long for the answer: it only makes a reason better. */
const takesLastingProof = (calls: Calls["Service"], environment: "test" | "live", hostname: string) =>
  calls.request(persistRecord, { environment, hostname }, { timeoutMillis: 500 }).pipe(
    Effect.map(({ values }) => values.length > 0),
    Effect.orElseSucceed(() => false)
  )

export const domainHandlers = Effect.gen(function* () {
  const database = yield* Database
  const calls = yield* Calls
  const settings = yield* Settings
  const handlers: Handlers<typeof DomainsApi> = {
    checkDomain: {
      check: (body) => hostnameProblems(settings, body.domain, "domain"),
      handle: ({ caller, body }) =>
        Effect.gen(function* () {
          const hostname = Result.getOrThrow(canonicalise(body.domain, settings.hostnamePolicy))
          if (caller.kind === "widget" && caller.domain !== undefined && caller.domain !== hostname) {
            return yield* forbidden("this token is for another host name")
          }
          const applicationId = yield* applicationFor(caller, body.application_id)
          const application = applicationId === undefined ? undefined : yield* readApplication(database, caller.tenant_id, applicationId)
          const planned = planRecords(application?.record_template ?? null, {
            hostname,
            apex: apexOf(hostname) ?? hostname,
            kind: kindOf(hostname),
            edge: settings.edge,
            edge_addresses: settings.edgeAddresses
          })
          if (Result.isFailure(planned)) return yield* invalid(planned.failure)
          const credentials = yield* database.query<{ readonly provider: string }>(
            (sql) => sql`
              select distinct provider from gateway.credentials
              where tenant_id = ${caller.tenant_id} and application_id = ${application?.id ?? null} and deleted_at is null`
          )
          return yield* calls.request(checkDomain, {
            hostname,
            planned: planned.success,
            credentials: mayUseCredentials(caller) ? credentials.map((row) => row.provider) : [],
            lasting: yield* takesLastingProof(calls, application?.environment ?? "live", hostname)
          })
        })
    },
    listProviders: () => Effect.map(calls.request(listProviders, {}), ({ providers }) => ({ data: providers, next_cursor: null }))
  }
  return handlers
})
