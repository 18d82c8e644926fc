/** API keys of an application, and the short-lived tokens that a key mints for the widget. */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema } from "effect/http-api"
import { Access, Creates, needs, scopes } from "./Access.ts"
import { Environment, Id, Name, Reference, Scopes, Time } from "./fields.ts"
import { pageOf, pageQuery } from "./page.ts"

export const Key = Schema.Struct({
  id: Schema.String,
  name: Schema.String,
  last4: Schema.String,
  environment: Environment,
  scopes: Schema.Array(Schema.Literals(scopes)),
  created_at: Schema.String,
  expires_at: Schema.NullOr(Schema.String),
  last_used_at: Schema.NullOr(Schema.String),
  revoked_at: Schema.NullOr(Schema.String)
}).annotate({ identifier: "Key" })

/** `secret` is shown in this answer and never again. */
export const KeyWithSecret = Schema.Struct({ ...Key.fields, secret: Schema.String }).annotate({ identifier: "KeyWithSecret" })

export const NewKey = Schema.Struct({ name: Name, scopes: Scopes, expires_at: Schema.optionalKey(Schema.NullOr(Time)) }).annotate({
  identifier: "NewKey"
})

const admin = needs("apps:admin")

export class KeysApi extends HttpApiGroup.make("keys", { topLevel: true }).add(
  HttpApiEndpoint.post("createKey", "/v1/applications/:id/keys", {
    params: { id: Id },
    payload: NewKey,
    success: KeyWithSecret.pipe(HttpApiSchema.status(201))
  })
    .annotate(Access, admin)
    .annotate(Creates, "here"),
  HttpApiEndpoint.get("listKeys", "/v1/applications/:id/keys", { params: { id: Id }, query: pageQuery, success: pageOf(Key) }).annotate(
    Access,
    admin
  ),
  HttpApiEndpoint.delete("revokeKey", "/v1/applications/:id/keys/:key_id", {
    params: { id: Id, key_id: Id },
    success: HttpApiSchema.NoContent
  }).annotate(Access, admin)
) {}

export const NewToken = Schema.Struct({
  application_id: Schema.String,
  /** The one host name that the token is for. Only with it is the application's DNS credential used for the end user. */
  domain: Schema.optionalKey(Schema.String),
  /** The vendor's own id of the end user; required without `domain`. */
  sub: Schema.optionalKey(Reference)
}).annotate({ identifier: "NewToken" })

export class TokensApi extends HttpApiGroup.make("tokens", { topLevel: true }).add(
  HttpApiEndpoint.post("createToken", "/v1/tokens", {
    payload: NewToken,
    success: Schema.Struct({ auth_token: Schema.String, expires_at: Schema.String })
      .annotate({ identifier: "WidgetToken" })
      .pipe(HttpApiSchema.status(201))
  })
    .annotate(Access, needs("connections:write"))
    .annotate(Creates, "here")
) {}
