/** Minting widget tokens: bound to an application of the tenant and to one host name or one end user. */
import { Database } from "@connect-domain/database/Database.ts"
import { canonicalise } from "@connect-domain/domain/Hostname.ts"
import { Effect, Result } from "effect"
import type { TokensApi } from "../api/keys.ts"
import { hostnameProblems } from "../connections/hostnameField.ts"
import { invalid } from "../http/ApiError.ts"
import type { Handlers } from "../http/Endpoint.ts"
import { Settings } from "../Settings.ts"
import { readApplication } from "./readApplication.ts"

const unbound = invalid({ field: "domain", message: "is required without sub" }, { field: "sub", message: "is required without domain" })

export const tokenHandlers = Effect.gen(function* () {
  const database = yield* Database
  const settings = yield* Settings
  const handlers: Handlers<typeof TokensApi> = {
    createToken: {
      check: (body) => hostnameProblems(settings, body.domain, "domain"),
      handle: ({ caller, body }) =>
        Effect.gen(function* () {
          if (body.domain === undefined && body.sub === undefined) return yield* unbound
          const application = yield* readApplication(database, caller.tenant_id, body.application_id)
          const domain = body.domain === undefined ? undefined : canonicalise(body.domain, settings.hostnamePolicy)
          return yield* settings.tokens.mint({
            tenant_id: caller.tenant_id,
            application_id: application.id,
            key_id: caller.key_id,
            domain: domain === undefined ? undefined : Result.getOrThrow(domain),
            sub: body.sub,
            origins: application.allowed_origins
          })
        })
    }
  }
  return handlers
})
