/** What can be said about a domain before anything is created, and the DNS providers that there are connectors for. */
import { checkDomain, ProviderView } from "@connect-domain/messages/connector.ts"
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { Access, anybody, needsOrWidget, Refusals } from "./Access.ts"

export class DomainsApi extends HttpApiGroup.make("domains", { topLevel: true }).add(
  HttpApiEndpoint.post("checkDomain", "/v1/domains:check", {
    payload: Schema.Struct({
      domain: Schema.String,
      /** Whose record template and credentials count; a widget token brings its own. */
      application_id: Schema.optionalKey(Schema.String)
    }).annotate({ identifier: "DomainCheckRequest" }),
    success: checkDomain.success.annotate({ identifier: "DomainCheck" })
  })
    .annotate(Access, needsOrWidget("connections:read"))
    .annotate(Refusals, ["not_found"]),
  HttpApiEndpoint.get("listProviders", "/v1/providers", {
    success: Schema.Struct({ data: Schema.Array(ProviderView.annotate({ identifier: "Provider" })), next_cursor: Schema.Null })
  }).annotate(Access, anybody)
) {}
