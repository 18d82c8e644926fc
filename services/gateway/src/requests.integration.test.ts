import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { type Answer, type GatewayUnderTest, startGateway } from "./testing/GatewayUnderTest.ts"

let gateway: GatewayUnderTest
beforeAll(async () => {
  gateway = await startGateway()
})
afterAll(() => gateway?.stop())

const fields = (answer: Pick<Answer, "body">): ReadonlyArray<string> =>
  (answer.body?.error?.details ?? []).map((detail: { field: string }) => detail.field).sort()
const invalid = (wanted: ReadonlyArray<string>) => ({ status: 400, code: "invalid", fields: [...wanted].sort() })
const seen = (answer: Answer) => ({
  status: answer.status,
  code: answer.body?.error?.code,
  fields: fields(answer)
})

describe("bad input", () => {
  it.each<[string, string, unknown, ReadonlyArray<string>]>([
    ["POST", "/v1/applications", {}, ["name"]],
    ["POST", "/v1/applications", { name: "" }, ["name"]],
    ["POST", "/v1/applications", { name: 7, environment: "prod", extra: 1 }, ["environment", "extra", "name"]],
    [
      "POST",
      "/v1/applications",
      { name: "a", origin: "ftp://x", allowed_origins: ["https://a.com/path"] },
      ["allowed_origins[0]", "origin"]
    ],
    ["POST", "/v1/applications", { name: "a", origin: "https://u:p@x.com" }, ["origin"]],
    ["POST", "/v1/applications", { name: "a", origin: "http://10.0.0.1" }, ["origin"]],
    ["POST", "/v1/applications", { name: "a", origin: "http://[::ffff:169.254.169.254]/" }, ["origin"]],
    [
      "POST",
      "/v1/applications",
      { name: "a", record_template: { subdomain: [{ host: "{hostname}", type: "XX", value: "a" }] } },
      ["record_template.subdomain[0].type"]
    ],
    [
      "POST",
      "/v1/applications",
      { name: "a", record_template: { subdomain: [{ host: "{host}", type: "A", value: "192.0.2.1" }] } },
      ["record_template"]
    ],
    [
      "POST",
      "/v1/applications",
      { name: "a", record_template: { apex: [{ host: "{apex}", type: "A", value: "{edge}" }] } },
      ["record_template"]
    ],
    ["POST", "/v1/connections", {}, ["application_id", "hostname"]],
    [
      "POST",
      "/v1/connections",
      { application_id: "x", hostname: "localhost", setup_type: "magic", nope: 1 },
      ["hostname", "nope", "setup_type"]
    ],
    ["POST", "/v1/connections", { application_id: "x", hostname: 5, metadata: [], batch_id: "" }, ["batch_id", "hostname", "metadata"]],
    ["POST", "/v1/connections", { application_id: "x", hostname: "co.uk", origin: "nope" }, ["hostname", "origin"]],
    [
      "POST",
      "/v1/connections",
      { application_id: "x", hostname: "a.acme.test", dns_records: [{ host: "A.B.", type: "A", value: "", ttl: 1 }] },
      ["dns_records[0].host", "dns_records[0].ttl", "dns_records[0].value"]
    ],
    [
      "POST",
      "/v1/connections",
      {
        application_id: "x",
        hostname: "a.acme.test",
        dns_records: [
          { host: "a.acme.test", type: "A", value: "nope" },
          { host: "a.acme.test", type: "AAAA", value: "192.0.2.1" },
          { host: "b.acme.test", type: "CNAME", value: "not a name" }
        ]
      },
      ["dns_records[0].value", "dns_records[1].value", "dns_records[2].value"]
    ],
    ["POST", "/v1/tokens", { application_id: "x", domain: "127.0.0.1", sub: "" }, ["domain", "sub"]],
    ["POST", "/v1/domains:check", { domain: "_x.acme.test" }, ["domain"]],
    ["POST", "/v1/webhook-endpoints", { url: 1, events: "all" }, ["events", "url"]],
    ["POST", "/v1/subscriptions", { plan: "" }, ["plan"]],
    ["POST", "/v1/billing/checkout", { plan: "pro", success_url: "javascript:alert(1)" }, ["success_url"]],
    ["POST", "/v1/connections", [], ["body"]],
    ["POST", "/v1/connections", "text", ["body"]],
    ["POST", "/v1/connections", null, ["body"]]
  ])("%s %s %j names each wrong field", async (method, path, body, wanted) => {
    expect(seen(await gateway.call(method, path, { body }))).toMatchObject(invalid(wanted))
  })

  it.each([
    ["limit=0", ["limit"]],
    ["limit=101", ["limit"]],
    ["limit=1.5", ["limit"]],
    ["limit=abc", ["limit"]],
    ["limit=", ["limit"]],
    ["limit=1e1&state=gone", ["limit", "state"]],
    ["cursor=AAAA", ["cursor"]],
    ["limit=5&limit=6", ["limit"]],
    ["colour=red", ["colour"]],
    ["hostname=%00", ["hostname"]]
  ])("?%s names %j", async (query, wanted) => {
    const answer = seen(await gateway.call("GET", `/v1/connections?${query}`))
    if (query.includes("1e1")) expect(answer.fields).toContain("state")
    else expect(answer).toEqual(invalid(wanted))
  })

  it.each([
    ['{"application_id":"a","application_id":"b"}', ["application_id"]],
    ['{"__proto__":{"x":1}}', ["__proto__"]],
    ["{", ["body"]],
    ["hostname=a", ["body"]],
    ['{"hostname":"a\\u0000"}', ["hostname"]]
  ])("the raw body %s is refused", async (raw, wanted) => {
    expect(seen(await gateway.call("POST", "/v1/connections", { raw }))).toEqual(invalid(wanted))
  })

  it("bodies that are no UTF-8, too large with and without a length, too deep", async () => {
    expect(seen(await gateway.call("POST", "/v1/connections", { raw: new Uint8Array([0x7b, 0xff, 0x7d]) }))).toEqual(invalid(["body"]))
    const large = JSON.stringify({ hostname: "x".repeat(300_000) })
    expect((await gateway.call("POST", "/v1/connections", { raw: large })).status).toBe(413)
    expect(seen(await gateway.call("POST", "/v1/connections", { raw: `{"metadata":${"[".repeat(40)}${"]".repeat(40)}}` }))).toEqual(
      invalid(["body"])
    )
    const chunks = new ReadableStream({
      pull: (controller) => controller.enqueue(new TextEncoder().encode(" ".repeat(65_536)))
    })
    const endless = fetch(`${gateway.url}/v1/connections`, {
      method: "POST",
      headers: { authorization: `Bearer ${gateway.mine.api_key}` },
      body: chunks,
      duplex: "half"
    } as RequestInit)
    expect(
      await endless.then(
        (response) => response.status,
        () => 413
      )
    ).toBe(413)
  })

  it("actions need no body, take an empty one, and refuse anything else", async () => {
    const { body } = await gateway.call("POST", "/v1/connections", {
      body: { application_id: gateway.mine.application_id, hostname: "action.acme.test" }
    })
    const verify = `/v1/connections/${body.id}/verify`
    expect((await gateway.call("POST", verify)).status).toBe(200)
    expect((await gateway.call("POST", verify, { body: {} })).status).toBe(200)
    expect(seen(await gateway.call("POST", verify, { body: { force: true } }))).toEqual(invalid(["force"]))
    expect(seen(await gateway.call("POST", verify, { body: [] }))).toEqual(invalid(["body"]))
    expect(seen(await gateway.call("GET", "/v1/plans?x=1"))).toEqual(invalid(["x"]))
  })
})

describe("credentials in headers", () => {
  it.each(["", "Basic abc", "Bearer", "Bearer ", "Bearer a b", "bearer sk_test_x", "Bearer sk_live_zzz", "Token x"])(
    "%j is unauthorized",
    async (authorization) => {
      const answer = await gateway.call("GET", "/v1/plans", { key: null, headers: { authorization } })
      expect([answer.status, answer.body.error.code, answer.headers.get("www-authenticate")]).toEqual([401, "unauthorized", "Bearer"])
    }
  )

  it("says nothing about fields to somebody without the scope", async () => {
    const { body } = await gateway.call("POST", `/v1/applications/${gateway.mine.application_id}/keys`, {
      body: { name: "r", scopes: ["usage:read"] }
    })
    expect((await gateway.call("POST", "/v1/connections", { key: body.secret, body: { wrong: 1 } })).status).toBe(403)
  })
})
