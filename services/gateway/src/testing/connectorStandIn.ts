/**
 * The connector, played for the gateway's tests: one provider, a credential that works, a domain without anything in its way.
 *
 * Owns: answers that are right in form. Leaves to the test: refusals, through the switch `refuse`.
 */
import * as connector from "@connect-domain/messages/connector.ts"
import { Effect } from "effect"
import { type StandIns, switched } from "./switched.ts"

export const serveConnector = (state: StandIns) =>
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
    yield* serve(connector.checkDomain, ({ hostname, credentials }) =>
      Effect.succeed({
        hostname,
        apex: hostname,
        kind: "apex" as const,
        zone: hostname,
        name_servers: [],
        provider: null,
        setup_types: [
          { type: "manual" as const, offered: true, reason: "always" },
          { type: "automatic" as const, offered: credentials.length > 0, reason: "a credential" }
        ],
        capabilities: { wildcard: true },
        apex_flattening: false,
        www_redirect_recommended: true,
        conflicts: [],
        findings: []
      })
    )
  })
