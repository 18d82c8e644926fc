/**
 * The contract as an OpenAPI 3.1 document, generated from the definition and completed with what every call has in common.
 *
 * Owns: credentials, scopes (`x-scopes`), error answers per endpoint, request headers. `writeOpenapi.ts` writes it to `openapi-v1.yaml`;
 * tests hold the file, the definition and the served API together.
 */
import { Context } from "effect"
import { HttpApi, OpenApi } from "effect/http-api"
import { statusOf } from "../http/ApiError.ts"
import { Access, type AccessRule, Creates, Refusals } from "./Access.ts"
import { Api } from "./Api.ts"

interface Operation {
  operationId: string
  parameters: Array<Record<string, unknown>>
  responses: Record<string, Record<string, unknown>>
  requestBody?: { required: boolean; content: Record<string, { schema: { $ref?: string } }> }
  security: Array<Record<string, ReadonlyArray<string>>>
  [extension: `x-${string}`]: unknown
}

const errorSchema = {
  type: "object",
  required: ["error"],
  properties: {
    error: {
      type: "object",
      required: ["code", "message", "details", "request_id"],
      properties: {
        code: { type: "string", description: "The set is open: treat an unknown code by its status." },
        message: { type: "string" },
        details: { description: "For `invalid`: a list of `{field, message}`, one for each wrong field." },
        request_id: { type: "string", format: "uuid" },
        limit: { type: ["integer", "null"], description: "QuotaExceeded only." },
        plan: { type: ["string", "null"], description: "QuotaExceeded only." },
        upgrade_url: { type: ["string", "null"], description: "QuotaExceeded only." }
      }
    },
    upgrade_url: { type: ["string", "null"], description: "QuotaExceeded only." }
  }
}

const everywhere = ["invalid", "unauthorized", "forbidden", "rate_limited", "internal", "unavailable"] as const

const errorCodes = (method: string, path: string, creates: boolean, refusals: ReadonlyArray<string>): ReadonlyArray<string> => [
  ...everywhere,
  ...(path.includes("{") || creates ? ["not_found"] : []),
  ...(method === "get" || method === "delete" ? [] : ["payload_too_large"]),
  ...(creates ? ["idempotency_conflict"] : []),
  ...refusals
]

/** Several codes may share a status; `idempotency_conflict` has two. */
const errorResponses = (codes: ReadonlyArray<string>): Record<string, Record<string, unknown>> => {
  const byStatus = new Map<number, Array<string>>()
  const note = (status: number, code: string) => byStatus.set(status, [...(byStatus.get(status) ?? []), code])
  for (const code of codes) {
    note(statusOf[code as keyof typeof statusOf], code)
    if (code === "idempotency_conflict") note(422, code)
  }
  return Object.fromEntries(
    [...byStatus].map(([status, names]) => [
      String(status),
      {
        description: names.map((name) => `\`${name}\``).join(", "),
        content: { "application/json": { schema: { $ref: "#/components/schemas/Error" } } }
      }
    ])
  )
}

const header = (name: string, description: string) => ({ name, in: "header", required: false, description, schema: { type: "string" } })

const complete = (
  operation: Operation,
  method: string,
  path: string,
  access: AccessRule,
  creates: boolean,
  refusals: ReadonlyArray<string>
) => {
  Object.assign(operation.responses, errorResponses(errorCodes(method, path, creates, refusals)))
  operation.security = [{ apiKey: [] }, ...(access.widget ? [{ widgetToken: [] }] : [])]
  operation["x-scopes"] = access.scopes
  for (const parameter of operation.parameters) {
    if (parameter.name === "limit") parameter.schema = { type: "integer", minimum: 1, maximum: 100, default: 20 }
    if (parameter.in === "path") parameter.schema = { type: "string", format: "uuid" }
  }
  if (creates) operation.parameters.push(header("Idempotency-Key", "Same key and body: done once, answered alike, for at least 24 hours."))
  if (refusals.includes("precondition_failed")) operation.parameters.push(header("If-Match", "The ETag that the change is meant for."))
  const reference = operation.requestBody?.content["application/json"]?.schema.$ref
  if (operation.requestBody !== undefined && /\/(NoBody|CredentialTest|SecretRotation)$/.test(reference ?? ""))
    operation.requestBody.required = false
}

/** A schema that stands twice under one name gets a numbered twin; both are the same. */
const mergeTwins = (text: string): string => text.replace(/("#\/components\/schemas\/[A-Za-z]+)_\d+"/g, '$1"')

export const makeOpenapi = (): Record<string, unknown> => {
  const document = JSON.parse(mergeTwins(JSON.stringify(OpenApi.fromApi(Api))))
  HttpApi.reflect(Api, {
    onGroup: () => {},
    onEndpoint: ({ endpoint }) => {
      const path = endpoint.path.replace(/\/:(\w+)/g, "/{$1}")
      const method = endpoint.method.toLowerCase()
      const annotations = endpoint.annotations as Context.Context<Access | Creates | Refusals>
      const access = Context.get(annotations, Access)
      const creates = Context.getOrUndefined(annotations, Creates) !== undefined
      complete(document.paths[path][method], method, path, access, creates, Context.getOrUndefined(annotations, Refusals) ?? [])
    }
  })
  const schemas = Object.entries({ ...document.components.schemas, Error: errorSchema }).filter(([name]) => !/_\d+$/.test(name))
  document.components.schemas = Object.fromEntries(schemas.sort(([a], [b]) => (a < b ? -1 : 1)))
  document.components.securitySchemes = {
    apiKey: { type: "http", scheme: "bearer", description: "An API key: `sk_test_…` or `sk_live_…`." },
    widgetToken: {
      type: "http",
      scheme: "bearer",
      bearerFormat: "JWT",
      description: "A token from `POST /v1/tokens`, at most 60 minutes old."
    }
  }
  document.servers = [{ url: "http://localhost:8080" }]
  return document
}
