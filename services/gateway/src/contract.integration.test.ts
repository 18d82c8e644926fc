/** The API against its own document: every call is served, with its scopes; nobody reaches another tenant's objects. */
import { readFileSync } from "node:fs"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { parse } from "yaml"
import { type Scope, scopes } from "./api/Access.ts"
import { openapiFile } from "./api/writeOpenapi.ts"
import { type GatewayUnderTest, startGateway } from "./testing/GatewayUnderTest.ts"

interface Operation {
  readonly method: string
  readonly path: string
  readonly scopes: ReadonlyArray<Scope> | "any"
  readonly widget: boolean
}

interface DocumentOperation {
  readonly "x-scopes": ReadonlyArray<Scope> | "any"
  readonly security: ReadonlyArray<unknown>
}

const document = parse(readFileSync(openapiFile, "utf8"))
const operations: ReadonlyArray<Operation> = Object.entries(document.paths as Record<string, Record<string, DocumentOperation>>).flatMap(
  ([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({
      method: method.toUpperCase(),
      path,
      scopes: operation["x-scopes"],
      widget: operation.security.length === 2
    }))
)

const unknownId = "01900000-0000-7000-8000-000000000000"
const filled = (path: string, ids: Readonly<Record<string, string>> = {}) => path.replace(/\{(\w+)\}/g, (_, name) => ids[name] ?? unknownId)
/** A body that passes the schema, for the calls that want one before they look at an id. */
const bodies: Readonly<Record<string, unknown>> = {
  "POST /v1/applications/{id}/keys": { name: "k", scopes: ["usage:read"] },
  "POST /v1/applications/{id}/credentials": { provider: "powerdns", token: { url: "http://127.0.0.1:1", api_key: "k" } },
  "PUT /v1/connections/{id}/certificate": { certificate: "c", private_key: "k" }
}

let gateway: GatewayUnderTest
const keys = new Map<Scope, string>()
beforeAll(async () => {
  gateway = await startGateway()
  for (const scope of scopes) {
    const made = await gateway.call("POST", `/v1/applications/${gateway.mine.application_id}/keys`, {
      body: { name: scope, scopes: [scope] }
    })
    keys.set(scope, made.body.secret)
  }
})
afterAll(() => gateway?.stop())

/** Another character in the middle: the last one carries just two bits of the secret. */
const altered = (key: string): string => `${key.slice(0, 30)}${key[30] === "a" ? "b" : "a"}${key.slice(31)}`

describe("every call of openapi-v1.yaml", () => {
  it.each(operations)("$method $path is served, and wants a credential", async ({ method, path }) => {
    const refused = await gateway.call(method, filled(path), { key: null })
    expect(refused.status).toBe(401)
    expect(refused.body.error).toEqual({
      code: "unauthorized",
      message: expect.any(String),
      details: null,
      request_id: refused.headers.get("x-request-id")
    })
    expect((await gateway.call(method, filled(path), { key: altered(gateway.mine.api_key) })).status).toBe(401)
  })

  it.each(operations)("$method $path × each scope", async ({ method, path, scopes: wanted }) => {
    for (const scope of scopes) {
      const { status } = await gateway.call(method, filled(path), { key: keys.get(scope)! })
      const allowed = wanted === "any" || wanted.includes(scope)
      expect([path, scope, status === 403]).toEqual([path, scope, !allowed])
      if (allowed) expect(status).not.toBe(401)
    }
  })

  it.each(operations.filter(({ widget }) => !widget))("$method $path is closed to widget tokens", async ({ method, path }) => {
    const token = await gateway.call("POST", "/v1/tokens", { body: { application_id: gateway.mine.application_id, sub: "u" } })
    expect((await gateway.call(method, filled(path), { key: token.body.auth_token })).status).toBe(403)
  })
})

describe("another tenant's objects", () => {
  const foreign: Record<string, string> = {}
  beforeAll(async () => {
    const { application_id, api_key: key } = gateway.other
    const connection = await gateway.call("POST", "/v1/connections", { key, body: { application_id, hostname: "theirs.acme.test" } })
    const made = await gateway.call("POST", `/v1/applications/${application_id}/keys`, { key, body: { name: "k", scopes: ["usage:read"] } })
    const credential = await gateway.call("POST", `/v1/applications/${application_id}/credentials`, {
      key,
      body: bodies["POST /v1/applications/{id}/credentials"]
    })
    const endpoint = await gateway.call("POST", "/v1/webhook-endpoints", { key, body: { url: "https://theirs.example.com/" } })
    Object.assign(foreign, {
      application: application_id,
      connection: connection.body.id,
      endpoint: endpoint.body.id,
      key_id: made.body.id,
      credential_id: credential.body.id
    })
    expect(Object.values(foreign).every((id) => typeof id === "string")).toBe(true)
  })
  const idFor = (path: string) =>
    path.startsWith("/v1/applications") ? foreign.application : path.startsWith("/v1/connections") ? foreign.connection : foreign.endpoint
  const bare = (answer: { readonly status: number; readonly text: string }) =>
    `${answer.status} ${answer.text.replace(/"request_id":"[^"]+"/, "")}`

  it.each(operations.filter(({ path }) => path.includes("{")))(
    "$method $path answers as for an unknown id, and for a malformed one",
    async ({ method, path }) => {
      const body = method === "GET" || method === "DELETE" ? {} : { body: bodies[`${method} ${path}`] ?? {} }
      const unknown = await gateway.call(method, filled(path), body)
      expect(unknown.status).toBe(404)
      const theirs = { id: idFor(path)!, key_id: foreign.key_id!, credential_id: foreign.credential_id! }
      expect(bare(await gateway.call(method, filled(path, theirs), body))).toBe(bare(unknown))
      for (const id of ["x", "123", unknownId.toUpperCase().replace("0", "G"), "%00", "..", `${unknownId}x`]) {
        const malformed = await gateway.call(method, filled(path, { id, key_id: id, credential_id: id }), body)
        if (!malformed.text.includes("error")) continue // fetch normalises `..`
        expect([id, bare(malformed)]).toEqual([id, bare(unknown)])
      }
    }
  )

  it("their application under my own objects' paths, and in bodies", async () => {
    const mine = gateway.mine.application_id
    for (const [method, path, body] of [
      ["DELETE", `/v1/applications/${mine}/keys/${foreign.key_id}`, undefined],
      ["DELETE", `/v1/applications/${mine}/credentials/${foreign.credential_id}`, undefined],
      ["POST", `/v1/applications/${mine}/credentials/${foreign.credential_id}:test`, {}],
      ["POST", "/v1/tokens", { application_id: foreign.application, sub: "u" }],
      ["POST", "/v1/domains:check", { application_id: foreign.application, domain: "acme.test" }],
      ["POST", "/v1/connections", { application_id: foreign.application, hostname: "x.acme.test" }],
      ["POST", "/v1/connections", { application_id: unknownId, hostname: "x.acme.test" }],
      ["POST", "/v1/connections", { application_id: "nonsense", hostname: "x.acme.test" }],
      ["POST", "/v1/webhook-endpoints", { application_id: foreign.application, url: "https://a.example.com/" }]
    ] as const) {
      const answer = await gateway.call(method, path, body === undefined ? {} : { body })
      expect([path, bare(answer)]).toEqual([path, '404 {"error":{"code":"not_found","message":"no such object","details":null,}}'])
    }
  })

  it("do not stand in lists", async () => {
    for (const path of [
      "/v1/applications",
      "/v1/connections",
      "/v1/webhook-endpoints",
      `/v1/connections?application_id=${foreign.application}`
    ]) {
      expect((await gateway.call("GET", path)).text).not.toContain(String(idFor(path)))
    }
  })
})

describe("what does not exist", () => {
  it.each([
    ["GET", "/"],
    ["GET", "/v1"],
    ["GET", "/v2/applications"],
    ["GET", "/v1/applications/"],
    ["GET", "/V1/applications"],
    ["PUT", "/v1/applications"],
    ["PATCH", "/v1/connections"],
    ["DELETE", "/v1/domains:check"],
    ["POST", "/v1/domainsXcheck"],
    ["POST", "/v1/domains::check"],
    ["POST", "/v1/domains/check"],
    ["POST", "/v1/domains%3Acheck"],
    ["POST", "/v1/domains:checkit"],
    ["POST", `/v1/connections/${unknownId}/records/check`],
    ["POST", `/v1/connections/${unknownId}/records:Check`],
    ["POST", `/v1/connections/${unknownId}:verify`],
    ["POST", `/v1/webhook-endpoints/${unknownId}/test`],
    ["OPTIONS", "/v1/connections"],
    ["HEAD", "/v1/plans"]
  ])("%s %s is a 404 in JSON", async (method, path) => {
    const answer = await gateway.call(method, path)
    expect([answer.status, answer.headers.get("content-type")]).toEqual([404, "application/json"])
    if (method !== "HEAD") expect(answer.body.error).toMatchObject({ code: "not_found", request_id: answer.headers.get("x-request-id") })
  })
})
