/** Any input at all: never a server error, never a status that the contract does not name, always the error's shape. */
import { readFileSync } from "node:fs"
import fc from "fast-check"
import { afterAll, beforeAll, expect, it } from "vitest"
import { parse } from "yaml"
import { openapiFile } from "./api/writeOpenapi.ts"
import { type GatewayUnderTest, startGateway } from "./testing/GatewayUnderTest.ts"

interface Operation {
  readonly method: string
  readonly path: string
  readonly fields: ReadonlyArray<string>
  readonly queries: ReadonlyArray<string>
  readonly statuses: ReadonlyArray<string>
}

const document = parse(readFileSync(openapiFile, "utf8"))
const fieldsOf = (reference: string | undefined): ReadonlyArray<string> =>
  Object.keys(document.components.schemas[reference?.split("/").pop() ?? ""]?.properties ?? {})

interface DocumentOperation {
  readonly requestBody?: { readonly content: { readonly "application/json": { readonly schema: { readonly $ref?: string } } } }
  readonly parameters: ReadonlyArray<{ readonly name: string; readonly in: string }>
  readonly responses: object
}
const operations: ReadonlyArray<Operation> = Object.entries(document.paths as Record<string, Record<string, DocumentOperation>>).flatMap(
  ([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({
      method: method.toUpperCase(),
      path,
      fields: fieldsOf(operation.requestBody?.content["application/json"].schema.$ref),
      queries: operation.parameters.filter((parameter) => parameter.in === "query").map((parameter) => parameter.name),
      statuses: Object.keys(operation.responses)
    }))
)

let gateway: GatewayUnderTest
let connection: string
beforeAll(async () => {
  gateway = await startGateway()
  const body = { application_id: gateway.mine.application_id, hostname: "fuzz.acme.test" }
  connection = (await gateway.call("POST", "/v1/connections", { body })).body.id
})
afterAll(() => gateway?.stop())

const hostile = fc.oneof(
  fc.constantFrom<unknown>(
    "",
    null,
    0,
    -1,
    1e308,
    true,
    [],
    {},
    "\ud800",
    "\u0000",
    "％",
    "*.a.test",
    "a".repeat(5000),
    "2030-13-01T00:00:00Z"
  ),
  fc.string({ unit: "binary", maxLength: 30 }),
  fc.jsonValue({ maxDepth: 3 })
)
/** What passes, for a field of that name, so that the other fields of the request get their turn. */
const fair = (): Readonly<Record<string, fc.Arbitrary<unknown>>> => ({
  name: fc.string({ unit: "grapheme", minLength: 1, maxLength: 20 }),
  hostname: fc.constantFrom("f1.acme.test", "F2.acme.test."),
  domain: fc.constant("f3.acme.test"),
  application_id: fc.constant(gateway.mine.application_id),
  scopes: fc.constant(["usage:read"]),
  provider: fc.constant("powerdns"),
  token: fc.constant({ url: "http://127.0.0.1:1", api_key: "x" }),
  sub: fc.constant("u"),
  url: fc.constant("https://a.example.com/"),
  plan: fc.constant("free"),
  events: fc.constant([]),
  metadata: fc.dictionary(fc.string({ unit: "grapheme" }), fc.jsonValue({ maxDepth: 2 })),
  dns_records: fc.constantFrom([{ host: "f1.acme.test", type: "A", value: "192.0.2.1" }], [{ host: "x.test", type: "MX", value: "?" }]),
  record_template: fc.constantFrom(null, { subdomain: [{ host: "{hostname}", type: "TXT", value: "{edge}" }] }),
  limit: fc.constantFrom("1", "100")
})

const valuesFor = (names: ReadonlyArray<string>) => {
  const known = fair()
  const field = (name: string) => fc.oneof({ weight: 5, arbitrary: known[name] ?? hostile }, { weight: 1, arbitrary: hostile })
  return fc.record(Object.fromEntries(names.map((name) => [name, field(name)])), { requiredKeys: [] })
}

it.each(operations)("$method $path", async ({ method, path, fields, queries, statuses }) => {
  const target = path
    .replace("{id}", path.startsWith("/v1/applications/") && method !== "DELETE" ? gateway.mine.application_id : connection)
    .replace(/\{\w+\}/g, connection)
  const bodies =
    method === "GET" || method === "DELETE"
      ? fc.constant(undefined)
      : fc.oneof({ weight: 6, arbitrary: valuesFor(fields) }, { weight: 1, arbitrary: hostile })
  await fc.assert(
    fc.asyncProperty(bodies, valuesFor(queries), fc.constantFrom(undefined, "one", "two"), async (body, query, key) => {
      const search = new URLSearchParams(
        Object.entries(query).map(([name, value]) => [name, (typeof value === "string" ? value : JSON.stringify(value)).toWellFormed()])
      )
      const answer = await gateway.call(method, search.size === 0 ? target : `${target}?${search}`, {
        ...(body === undefined ? {} : { body }),
        headers: key === undefined ? {} : { "idempotency-key": key }
      })
      expect(statuses).toContain(String(answer.status))
      expect([500, 503]).not.toContain(answer.status)
      if (answer.status >= 400)
        expect(answer.body.error).toMatchObject({ code: expect.any(String), message: expect.any(String), request_id: expect.any(String) })
    }),
    { numRuns: 25 }
  )
})
