/** Applications, credentials, connections and the other services' objects through the API: what goes in, what comes out. */
import { applicationChanged } from "@connect-domain/messages/lifecycle.ts"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { type GatewayUnderTest, startGateway } from "./testing/GatewayUnderTest.ts"

let gateway: GatewayUnderTest
beforeAll(async () => {
  gateway = await startGateway()
})
afterAll(() => gateway?.stop())

const powerdns = { provider: "powerdns", token: { url: "http://127.0.0.1:1", api_key: "s3cret-token" } }

describe("applications", () => {
  it("are created, read, changed and listed", async () => {
    const template = { subdomain: [{ host: "{hostname}", type: "CNAME", value: "{edge}", ttl: 60 }] }
    const created = await gateway.call("POST", "/v1/applications", {
      body: { name: "Shop", origin: "https://shop.example.com", allowed_origins: ["https://app.example.com"], record_template: template }
    })
    expect([created.status, created.headers.get("etag")]).toEqual([201, '"1"'])
    expect(created.body).toEqual({
      id: expect.any(String),
      name: "Shop",
      environment: "test",
      origin: "https://shop.example.com",
      allowed_origins: ["https://app.example.com"],
      record_template: template,
      edge: {},
      error_page: null,
      created_at: expect.any(String),
      updated_at: expect.any(String)
    })
    const path = `/v1/applications/${created.body.id}`
    const changed = await gateway.call("PATCH", path, { body: { origin: null, name: "Shop 2" }, headers: { "if-match": '"1"' } })
    expect([changed.status, changed.body.name, changed.body.origin, changed.body.record_template]).toEqual([200, "Shop 2", null, template])
    expect((await gateway.call("PATCH", path, { body: { name: "late" }, headers: { "if-match": '"1"' } })).body.error.code).toBe(
      "precondition_failed"
    )
    expect((await gateway.call("PATCH", path, { body: { environment: "live" } })).body.error.details[0].field).toBe("environment")
    expect((await gateway.call("GET", path)).body).toEqual(changed.body)
    const sent = await gateway.sql<{ actor: string; action: string }>(
      (sql) => sql`select actor, action from gateway.audit where object_id = ${created.body.id} order by position`
    )
    expect(sent.map((row) => row.action)).toEqual(["create", "update"])
    expect(applicationChanged.subject).toContain("application_id")
  })

  it("50 edits at once: each that says what it read wins once", async () => {
    const { body } = await gateway.call("POST", "/v1/applications", { body: { name: "busy" } })
    const edits = Array.from({ length: 50 }, (_, index) =>
      gateway.call("PATCH", `/v1/applications/${body.id}`, { body: { name: `n${index}` }, headers: { "if-match": '"1"' } })
    )
    const statuses = (await Promise.all(edits)).map((answer) => answer.status)
    expect(statuses.filter((status) => status === 200)).toHaveLength(1)
    expect(statuses.filter((status) => status === 412)).toHaveLength(49)
  })

  it("with connections are not deleted", async () => {
    const { body } = await gateway.call("POST", "/v1/applications", { body: { name: "used" } })
    await gateway.call("POST", "/v1/connections", { body: { application_id: body.id, hostname: "used.acme.test" } })
    expect((await gateway.call("DELETE", `/v1/applications/${body.id}`)).body.error.code).toBe("application_in_use")
  })
})

describe("credentials", () => {
  it("go in once and never come out", async () => {
    const path = `/v1/applications/${gateway.mine.application_id}/credentials`
    const created = await gateway.call("POST", path, { body: { ...powerdns, label: "zone" } })
    expect([created.status, created.body]).toEqual([
      201,
      { id: expect.any(String), provider: "powerdns", label: "zone", created_at: expect.any(String) }
    ])
    expect((await gateway.call("GET", path)).body.data).toEqual([created.body])
    const rows = await gateway.sql(
      (sql) => sql`select c::text, (select string_agg(a::text, '') from gateway.audit a) as audit from gateway.credentials c`
    )
    expect(JSON.stringify(rows)).not.toContain("s3cret-token")
    expect((await gateway.call("POST", `${path}/${created.body.id}:test`)).body).toEqual({ ok: true, zones: ["acme.test"] })
    expect((await gateway.call("DELETE", `${path}/${created.body.id}`)).status).toBe(204)
    expect((await gateway.call("DELETE", `${path}/${created.body.id}`)).status).toBe(204)
    expect((await gateway.call("GET", path)).body.data).toEqual([])
    expect((await gateway.call("POST", `${path}/${created.body.id}:test`)).status).toBe(404)
  })

  it("must fit the provider's form", async () => {
    const path = `/v1/applications/${gateway.mine.application_id}/credentials`
    const fieldsOf = async (body: object) =>
      (await gateway.call("POST", path, { body })).body.error.details.map((detail: { field: string }) => detail.field)
    expect(await fieldsOf({ provider: "nobody", token: "x" })).toEqual(["provider"])
    expect(await fieldsOf({ provider: "powerdns", token: { url: "x", other: "y" } })).toEqual(["token.api_key", "token.other"])
  })
})

describe("connections", () => {
  it("pages hold everything once, newest first, while others come and go", async () => {
    const { body: application } = await gateway.call("POST", "/v1/applications", { body: { name: "pages" } })
    const create = (name: string) =>
      gateway.call("POST", "/v1/connections", { body: { application_id: application.id, hostname: `${name}.acme.test`, batch_id: "b" } })
    for (let index = 0; index < 7; index++) await create(`p${index}`)
    const found: Array<string> = []
    let cursor = ""
    for (let page = 0; page < 10; page++) {
      const answer = await gateway.call("GET", `/v1/connections?application_id=${application.id}&batch_id=b&limit=2${cursor}`)
      found.push(...answer.body.data.map((connection: { hostname: string }) => connection.hostname))
      if (answer.body.next_cursor === null) break
      cursor = `&cursor=${answer.body.next_cursor}`
      await create(`later${page}`)
    }
    expect(found).toEqual([6, 5, 4, 3, 2, 1, 0].map((index) => `p${index}.acme.test`))
    const mine = await gateway.call("GET", "/v1/connections?limit=1")
    const foreign = await gateway.call("GET", `/v1/connections?cursor=${mine.body.next_cursor}`, { key: gateway.other.api_key })
    expect([foreign.status, foreign.body.error.details[0].field]).toEqual([400, "cursor"])
  })

  it("a list shows the summary, one alone everything, and neither anything internal", async () => {
    const { body } = await gateway.call("POST", "/v1/connections", {
      body: {
        application_id: gateway.mine.application_id,
        hostname: "one.acme.test",
        metadata: { ref: "7" },
        dns_records: [{ host: "one.acme.test", type: "A", value: "192.0.2.1" }]
      }
    })
    expect(Object.keys(body).sort()).toEqual(
      [
        "id",
        "application_id",
        "hostname",
        "kind",
        "setup_type",
        "state",
        "provider",
        "batch_id",
        "error_code",
        "metadata",
        "created_at",
        "updated_at"
      ]
        .concat(["next_check_at", "origin", "edge", "desired_records", "observed_records", "ownership_challenge", "certificate"])
        .sort()
    )
    expect(body.desired_records).toEqual([{ host: "one.acme.test", type: "A", value: "192.0.2.1", ttl: 300 }])
    const listed = (await gateway.call("GET", "/v1/connections?hostname=one.acme.test")).body.data[0]
    expect(Object.keys(listed)).not.toContain("desired_records")
    const checked = await gateway.call("POST", `/v1/connections/${body.id}/records:check`)
    expect(checked.body.records[0]).toMatchObject({
      host: "one.acme.test",
      type: "A",
      value: "192.0.2.1",
      propagated: false,
      observed_value: null
    })
    expect(checked.body.connection.id).toBe(body.id)
    expect((await gateway.call("DELETE", `/v1/connections/${body.id}`)).body.state).toBe("archived")
  })
})

describe("the other services' calls", () => {
  it("webhook endpoints, plans, usage, checkout", async () => {
    const created = await gateway.call("POST", "/v1/webhook-endpoints", {
      body: { url: "https://hooks.example.com/", events: ["ssl.issued"] }
    })
    expect(created.body).toEqual({
      id: expect.any(String),
      application_id: null,
      url: "https://hooks.example.com/",
      events: ["ssl.issued"],
      active: true,
      created_at: expect.any(String),
      signing_secret: "whsec_c2VjcmV0"
    })
    const path = `/v1/webhook-endpoints/${created.body.id}`
    expect((await gateway.call("GET", path)).body).not.toHaveProperty("signing_secret")
    expect((await gateway.call("PATCH", path, { body: { active: false } })).body.active).toBe(false)
    expect((await gateway.call("POST", `${path}:rotate-secret`)).body.signing_secret).toBe("whsec_bmV3")
    expect((await gateway.call("POST", `${path}:test`)).body.status).toBe("delivered")
    expect((await gateway.call("DELETE", path)).status).toBe(204)
    expect((await gateway.call("GET", path)).status).toBe(404)
    expect((await gateway.call("DELETE", path)).status).toBe(204)
    expect((await gateway.call("DELETE", path, { key: gateway.other.api_key })).status).toBe(404)
    expect((await gateway.call("GET", "/v1/webhook-deliveries?status=failed")).body).toEqual({ data: [], next_cursor: null })
    expect((await gateway.call("GET", "/v1/plans")).body.data[0].key).toBe("free")
    expect((await gateway.call("GET", "/v1/subscription")).body.plan).toBe("free")
    expect((await gateway.call("POST", "/v1/subscriptions", { body: { plan: "pro" } })).status).toBe(201)
    expect((await gateway.call("GET", "/v1/usage?period=2030-01")).body.period).toBe("2030-01")
    expect((await gateway.call("GET", "/v1/usage?period=2030-13")).status).toBe(400)
    const checkout = await gateway.call("POST", "/v1/billing/checkout", { body: { plan: "pro" } })
    expect([checkout.status, checkout.body.error.code]).toEqual([502, "billing_unavailable"])
    expect((await gateway.call("GET", "/v1/providers")).body.data[0].key).toBe("powerdns")
  })
})
