/**
 * The REST API v1, as a definition: paths, inputs, answers, scopes. `openapi-v1.yaml` is generated from it and a test keeps them equal.
 *
 * Owns: the contract. Leaves to the handlers: meaning; to `http/serve.ts`: everything that all calls have in common. Additive-only in v1.
 */
import { HttpApi, OpenApi } from "effect/http-api"
import { ApplicationsApi } from "./applications.ts"
import { BillingApi } from "./billing.ts"
import { ConnectionsApi } from "./connections.ts"
import { CredentialsApi } from "./credentials.ts"
import { DomainsApi } from "./domains.ts"
import { EventsApi } from "./events.ts"
import { KeysApi, TokensApi } from "./keys.ts"
import { TrafficApi } from "./traffic.ts"
import { WebhooksApi } from "./webhooks.ts"

export class Api extends HttpApi.make("connect-domain")
  .add(ApplicationsApi)
  .add(KeysApi)
  .add(TokensApi)
  .add(CredentialsApi)
  .add(DomainsApi)
  .add(ConnectionsApi)
  .add(EventsApi)
  .add(WebhooksApi)
  .add(BillingApi)
  .add(TrafficApi)
  .annotateMerge(OpenApi.annotations({ title: "Connect Domain", version: "1.0.0" })) {}
