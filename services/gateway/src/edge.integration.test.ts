/** Settings at the edge through the API: what is taken, merged and shown, and the sentence for each field that is wrong. */
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { type GatewayUnderTest, startGateway } from "./testing/GatewayUnderTest.ts"

let gateway: GatewayUnderTest
beforeAll(async () => {
  gateway = await startGateway()
})
afterAll(() => gateway?.stop())

const everySetting = {
  redirect: { to: "https://shop.example.net:8443/a", status: 302, keep_path: false },
  maintenance: { retry_after: 600 },
  hsts: { max_age: 31_536_000, include_subdomains: true, preload: true },
  host_header: "origin",
  proxy_protocol: "v2",
  limits: { requests_per_second: 100, burst: 200, requests_per_second_per_ip: 10, burst_per_ip: 20, connections: 50 }
}

/** What is wrong with these settings, by field. */
const problems = async (edge: unknown): Promise<Record<string, string>> => {
  const { status, body } = await gateway.call("POST", "/v1/applications", { body: { name: "x", edge } })
  if (status === 201) return {}
  expect([status, body.error.code]).toEqual([400, "invalid"])
  return Object.fromEntries(body.error.details.map(({ field, message }: { field: string; message: string }) => [field, message]))
}

describe("settings at the edge", () => {
  it("of an application are stored, merged setting by setting, shown, and taken away by null", async () => {
    const created = await gateway.call("POST", "/v1/applications", {
      body: { name: "edge", edge: everySetting, error_page: "<p>{status}" }
    })
    expect([created.status, created.body.edge, created.body.error_page]).toEqual([201, everySetting, "<p>{status}"])
    const path = `/v1/applications/${created.body.id}`
    const changed = await gateway.call("PATCH", path, { body: { edge: { hsts: null, limits: false, redirect: "www" }, error_page: null } })
    const { hsts: _, ...others } = everySetting
    expect([changed.body.edge, changed.body.error_page]).toEqual([{ ...others, limits: false, redirect: "www" }, null])
    expect((await gateway.call("PATCH", path, { body: { name: "still" } })).body.edge).toEqual(changed.body.edge)
    expect((await gateway.call("PATCH", path, { body: { edge: null } })).body.edge).toEqual({})
    expect((await gateway.call("GET", path)).body).toMatchObject({ edge: {}, error_page: null })
    const [sent] = await gateway.sql<{ after: string }>(
      (sql) => sql`select string_agg(after::text, '') as after from gateway.audit where object_id = ${created.body.id}`
    )
    expect(sent?.after).toContain("error_page_sha256")
    expect(sent?.after).not.toContain("<p>")
  })

  it("of a connection go in with POST and PATCH, and come out", async () => {
    const { application_id } = gateway.mine
    const body = { application_id, hostname: "settings.acme.test", edge: { maintenance: true, hsts: null } }
    const created = await gateway.call("POST", "/v1/connections", { body })
    expect([created.status, created.body.edge]).toEqual([201, { maintenance: true }])
    const path = `/v1/connections/${created.body.id}`
    const changed = await gateway.call("PATCH", path, { body: { edge: { maintenance: null, proxy_protocol: "v1" } } })
    expect(changed.body.edge).toEqual({ proxy_protocol: "v1" })
    expect((await gateway.call("POST", `${path}/records:check`)).body.connection.edge).toEqual({ proxy_protocol: "v1" })
    expect((await gateway.call("GET", "/v1/connections")).body.data[0].edge).toBeUndefined()
  })

  it("that are wrong are named, each one, with a sentence", async () => {
    const wrong = {
      redirect: { to: "http://x.test", status: 303, path: "/" },
      maintenance: { retry_after: 0 },
      hsts: { max_age: 10, preload: true },
      host_header: "mine",
      proxy_protocol: "v3",
      limits: { burst: 5, requests_per_second_per_ip: 0.5 },
      cache: true
    }
    expect(await problems(wrong)).toEqual({
      "edge.redirect.path": "is not a field of this request",
      "edge.redirect.to": "must be a host name, or a URL that begins with https://",
      "edge.redirect.status": "must be 301 | 302 | 307 | 308",
      "edge.maintenance.retry_after": "must be a whole number from 1 to 604800",
      "edge.hsts.preload": "needs include_subdomains and a max_age of at least 31536000",
      "edge.host_header": 'must be "preserve" | "origin"',
      "edge.proxy_protocol": 'must be "v1" | "v2"',
      "edge.limits.requests_per_second_per_ip": "must be a whole number from 1 to 1000000",
      "edge.cache": "is not a field of this request"
    })
    expect(await problems({ limits: { burst: 5 } })).toEqual({ "edge.limits.burst": "needs requests_per_second beside it" })
    expect(await problems({ limits: {} })).toHaveProperty("edge.limits")
    expect(await problems({ redirect: 5, hsts: "on" })).toEqual({
      "edge.redirect": 'must be false | "www" | "apex" | object | null',
      "edge.hsts": "must be false | object | null"
    })
    expect(await problems("on")).toHaveProperty("edge")
  })

  it("refuse redirect targets that are no host name, in their own spelling", async () => {
    const of = async (to: string) => (await problems({ redirect: { to } }))["edge.redirect.to"]
    for (const fine of ["www", "apex", "new.example.com", "https://new.example.com", "https://new.example.com:8443/a/b"]) {
      expect(await of(fine), fine).toBeUndefined()
    }
    const others = [
      "",
      "localhost",
      "*.a.test",
      "10.0.0.1",
      "New.Example.com",
      "bücher.example",
      "a.test:80",
      "//a.test",
      "javascript:alert(1)"
    ]
    for (const to of [...others, "https://u:p@a.test/", "https://a.test/?q", "https://[::1]/", "https://a.test/#f", "a.test/x"]) {
      expect(await of(to), to).toEqual(expect.any(String))
    }
    expect(await of("BÜCHER.example")).toBe("must be written as xn--bcher-kva.example")
    expect(await of("https://shop.example.net:0/a")).toBe("must not have port 0, at which nothing can be reached")
  })

  it("bound the error page in bytes", async () => {
    const of = async (error_page: unknown) => (await gateway.call("POST", "/v1/applications", { body: { name: "x", error_page } })).status
    expect(await of("ä".repeat(16_384))).toBe(201)
    expect(await of(`${"ä".repeat(16_384)}x`)).toBe(400)
    expect(await of(" ")).toBe(400)
    expect(await of("a\0")).toBe(400)
  })

  it("take an origin with a plain path and a port, and no reserved address", async () => {
    const of = async (origin: string) => (await gateway.call("POST", "/v1/applications", { body: { name: "x", origin } })).status
    for (const origin of ["https://app.example.com/tenants/x", "https://app.example.com:8443/a/", "http://app.example.com"]) {
      expect([origin, await of(origin)]).toEqual([origin, 201])
    }
    expect(await of("https://[2001:db8::1]/x")).toBe(400)
    expect(await of("https://app.example.com:0/a")).toBe(400)
    const refused = await gateway.call("POST", "/v1/applications", { body: { name: "x", origin: "https://app.example.com:25" } })
    expect([refused.status, refused.body]).toMatchObject([400, { error: { details: [{ field: "origin" }] } }])
    const wrong = ["/a/../b", "/a/%2e%2e/b", "/a;b", "//a", "/a b", "/ä", "/a?b", "/a#", "/a%2fb", "/a\\b", "/./a"]
    for (const path of wrong) expect([path, await of(`https://app.example.com${path}`)]).toEqual([path, 400])
  })
})
