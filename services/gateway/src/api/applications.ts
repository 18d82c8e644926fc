/** Applications: one product of a tenant; keys, credentials and connections hang off it. */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema } from "effect/http-api"
import { Access, Creates, needs, Refusals } from "./Access.ts"
import { EdgeChange, EdgeSettings, ErrorPage } from "./edge.ts"
import { AllowedOrigins, Environment, Id, Name, RecordTemplate } from "./fields.ts"
import { pageOf, pageQuery } from "./page.ts"

export const Application = Schema.Struct({
  id: Schema.String,
  name: Schema.String,
  environment: Environment,
  /** Where the edge proxies to. */
  origin: Schema.NullOr(Schema.String),
  allowed_origins: Schema.Array(Schema.String),
  record_template: Schema.NullOr(RecordTemplate),
  /** For all its connections; a connection's own settings go before. */
  edge: EdgeSettings,
  error_page: Schema.NullOr(Schema.String),
  created_at: Schema.String,
  updated_at: Schema.String
}).annotate({ identifier: "Application" })

export const NewApplication = Schema.Struct({
  name: Name,
  /** Fixed for good; decides the key prefix and the CA directory. */
  environment: Schema.optionalKey(Environment),
  origin: Schema.optionalKey(Schema.NullOr(Schema.String)),
  allowed_origins: Schema.optionalKey(AllowedOrigins),
  record_template: Schema.optionalKey(Schema.NullOr(RecordTemplate)),
  edge: Schema.optionalKey(Schema.NullOr(EdgeChange)),
  error_page: Schema.optionalKey(Schema.NullOr(ErrorPage))
}).annotate({ identifier: "NewApplication" })

export const ApplicationChange = Schema.Struct({
  name: Schema.optionalKey(Name),
  origin: Schema.optionalKey(Schema.NullOr(Schema.String)),
  allowed_origins: Schema.optionalKey(AllowedOrigins),
  record_template: Schema.optionalKey(Schema.NullOr(RecordTemplate)),
  edge: Schema.optionalKey(Schema.NullOr(EdgeChange)),
  error_page: Schema.optionalKey(Schema.NullOr(ErrorPage))
}).annotate({ identifier: "ApplicationChange" })

const admin = needs("apps:admin")

export class ApplicationsApi extends HttpApiGroup.make("applications", { topLevel: true }).add(
  HttpApiEndpoint.post("createApplication", "/v1/applications", {
    payload: NewApplication,
    success: Application.pipe(HttpApiSchema.status(201))
  })
    .annotate(Access, admin)
    .annotate(Creates, "here"),
  HttpApiEndpoint.get("listApplications", "/v1/applications", { query: pageQuery, success: pageOf(Application) }).annotate(Access, admin),
  HttpApiEndpoint.get("readApplication", "/v1/applications/:id", { params: { id: Id }, success: Application }).annotate(Access, admin),
  HttpApiEndpoint.patch("updateApplication", "/v1/applications/:id", {
    params: { id: Id },
    payload: ApplicationChange,
    success: Application
  })
    .annotate(Access, admin)
    .annotate(Refusals, ["precondition_failed"]),
  HttpApiEndpoint.delete("deleteApplication", "/v1/applications/:id", { params: { id: Id }, success: HttpApiSchema.NoContent })
    .annotate(Access, admin)
    .annotate(Refusals, ["application_in_use"])
) {}
