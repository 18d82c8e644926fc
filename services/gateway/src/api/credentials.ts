/** Delegated DNS credentials of an application: given once, sealed, tested, never shown again. */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema } from "effect/http-api"
import { Access, Creates, needs, Refusals } from "./Access.ts"
import { Id, Name } from "./fields.ts"
import { pageOf, pageQuery } from "./page.ts"

export const Credential = Schema.Struct({
  id: Schema.String,
  provider: Schema.String,
  label: Schema.NullOr(Schema.String),
  created_at: Schema.String
}).annotate({ identifier: "Credential" })

/** `token` is in the provider's form: a string, or an object of strings (see `credential_fields` of `GET /v1/providers`). */
export const NewCredential = Schema.Struct({
  provider: Name,
  token: Schema.Union([
    Schema.NonEmptyString.check(Schema.isMaxLength(8192)),
    Schema.Record(Schema.String, Schema.Union([Schema.String, Schema.Number, Schema.Boolean])).check(
      Schema.makeFilter(
        (token) => (Object.keys(token).length > 0 && JSON.stringify(token).length <= 8192) || "must be at most 8 KiB and not empty"
      )
    )
  ]),
  label: Schema.optionalKey(Schema.NullOr(Name))
}).annotate({ identifier: "NewCredential" })

const admin = needs("apps:admin")

export class CredentialsApi extends HttpApiGroup.make("credentials", { topLevel: true }).add(
  HttpApiEndpoint.post("createCredential", "/v1/applications/:id/credentials", {
    params: { id: Id },
    payload: NewCredential,
    success: Credential.pipe(HttpApiSchema.status(201))
  })
    .annotate(Access, admin)
    .annotate(Creates, "here"),
  HttpApiEndpoint.get("listCredentials", "/v1/applications/:id/credentials", {
    params: { id: Id },
    query: pageQuery,
    success: pageOf(Credential)
  }).annotate(Access, admin),
  HttpApiEndpoint.delete("deleteCredential", "/v1/applications/:id/credentials/:credential_id", {
    params: { id: Id, credential_id: Id },
    success: HttpApiSchema.NoContent
  }).annotate(Access, admin),
  HttpApiEndpoint.post("testCredential", "/v1/applications/:id/credentials/:credential_id:test", {
    params: { id: Id, credential_id: Id },
    payload: Schema.Struct({ hostname: Schema.optionalKey(Schema.String) }).annotate({ identifier: "CredentialTest" }),
    success: Schema.Struct({ ok: Schema.Boolean, zones: Schema.NullOr(Schema.Array(Schema.String)) }).annotate({
      identifier: "CredentialTestResult"
    })
  })
    .annotate(Access, admin)
    .annotate(Refusals, ["credential_refused"])
) {}
