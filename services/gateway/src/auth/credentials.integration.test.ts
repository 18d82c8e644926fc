import { keyRing } from "@connect-domain/secrets/KeyRing.ts"
import { ConfigProvider, Effect } from "effect"
import { SignJWT } from "jose"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { type GatewayUnderTest, startGateway } from "../testing/GatewayUnderTest.ts"
import { keyIdOf } from "./ApiKey.ts"

let gateway: GatewayUnderTest
beforeAll(async () => {
  gateway = await startGateway()
})
afterAll(() => gateway?.stop())

const newKey = async (body: object, key?: string) =>
  gateway.call("POST", `/v1/applications/${gateway.mine.application_id}/keys`, {
    body: { name: "k", ...body },
    ...(key === undefined ? {} : { key })
  })

describe("API keys", () => {
  it("show the secret once, and store only its hash", async () => {
    const { status, body } = await newKey({ scopes: ["connections:read"] })
    expect(status).toBe(201)
    expect(body).toEqual({
      id: keyIdOf(body.secret),
      name: "k",
      last4: body.secret.slice(-4),
      environment: "test",
      scopes: ["connections:read"],
      created_at: expect.any(String),
      expires_at: null,
      last_used_at: null,
      revoked_at: null,
      secret: expect.stringMatching(/^sk_test_[a-z2-7]{73}$/)
    })
    const listed = await gateway.call("GET", `/v1/applications/${gateway.mine.application_id}/keys`)
    expect(listed.text).not.toContain(body.secret)
    expect(listed.body.data[0]).toEqual({ ...body, secret: undefined })
    const stored = await gateway.sql(
      (sql) => sql`select k::text, (select string_agg(a::text, '') from gateway.audit a) as audit from gateway.keys k`
    )
    expect(JSON.stringify(stored)).not.toContain(body.secret.slice(40))
  })

  it("of a live application are sk_live_", async () => {
    const { body: application } = await gateway.call("POST", "/v1/applications", { body: { name: "live", environment: "live" } })
    const { body } = await gateway.call("POST", `/v1/applications/${application.id}/keys`, { body: { name: "k", scopes: ["usage:read"] } })
    expect([body.secret.slice(0, 8), body.environment]).toEqual(["sk_live_", "live"])
  })

  it("can't mint wider or longer-lived ones", async () => {
    const admin = (await newKey({ scopes: ["apps:admin"], expires_at: new Date(Date.now() + 60_000).toISOString() })).body.secret
    expect((await newKey({ scopes: ["connections:read"] }, admin)).status).toBe(403)
    expect((await newKey({ scopes: ["apps:admin"] }, admin)).status).toBe(403)
    expect((await newKey({ scopes: ["apps:admin"], expires_at: new Date(Date.now() + 120_000).toISOString() }, admin)).status).toBe(403)
    expect((await newKey({ scopes: ["apps:admin"], expires_at: new Date(Date.now() + 30_000).toISOString() }, admin)).status).toBe(201)
    expect((await newKey({ scopes: ["apps:admin"], expires_at: "2020-01-01T00:00:00Z" })).body.error.details[0].field).toBe("expires_at")
  })

  it("stop at once when revoked, with every token they minted; revoking twice is fine", async () => {
    const { body } = await newKey({ scopes: ["connections:write", "connections:read"] })
    const token = await gateway.call("POST", "/v1/tokens", {
      key: body.secret,
      body: { application_id: gateway.mine.application_id, sub: "u" }
    })
    const providers = (key: string) => gateway.call("GET", "/v1/providers", { key }).then((answer) => answer.status)
    expect([await providers(body.secret), await providers(token.body.auth_token)]).toEqual([200, 200])
    const path = `/v1/applications/${gateway.mine.application_id}/keys/${body.id}`
    expect((await gateway.call("DELETE", path)).status).toBe(204)
    expect([await providers(body.secret), await providers(token.body.auth_token)]).toEqual([401, 401])
    expect((await gateway.call("DELETE", path)).status).toBe(204)
  })

  it("end with their time and with their application", async () => {
    const soon = await newKey({ scopes: ["usage:read"], expires_at: new Date(Date.now() + 400).toISOString() })
    await new Promise((resolve) => setTimeout(resolve, 450))
    expect((await gateway.call("GET", "/v1/plans", { key: soon.body.secret })).status).toBe(401)
    const { body: application } = await gateway.call("POST", "/v1/applications", { body: { name: "short" } })
    const key = (await gateway.call("POST", `/v1/applications/${application.id}/keys`, { body: { name: "k", scopes: ["usage:read"] } }))
      .body.secret
    expect((await gateway.call("GET", "/v1/plans", { key })).status).toBe(200)
    expect((await gateway.call("DELETE", `/v1/applications/${application.id}`)).status).toBe(204)
    expect((await gateway.call("GET", "/v1/plans", { key })).status).toBe(401)
    expect((await gateway.call("DELETE", `/v1/applications/${application.id}`)).status).toBe(204)
    expect((await gateway.call("GET", `/v1/applications/${application.id}`)).status).toBe(404)
  })
})

describe("widget tokens", () => {
  const mint = async (body: object) =>
    (await gateway.call("POST", "/v1/tokens", { body: { application_id: gateway.mine.application_id, ...body } })).body.auth_token as string
  const create = (key: string, body: object) => gateway.call("POST", "/v1/connections", { key, body })

  it("last 60 minutes, and are bound to a domain or a user", async () => {
    const answer = await gateway.call("POST", "/v1/tokens", {
      body: { application_id: gateway.mine.application_id, domain: "W.acme.test" }
    })
    expect(answer.status).toBe(201)
    expect(Math.round((Date.parse(answer.body.expires_at) - Date.now()) / 60_000)).toBe(60)
    expect((await gateway.call("POST", "/v1/tokens", { body: { application_id: gateway.mine.application_id } })).status).toBe(400)
  })

  it("for a domain: create and reach that domain's connection, nothing else", async () => {
    const token = await mint({ domain: "w1.acme.test" })
    const mine = await create(token, { hostname: "w1.acme.test" })
    expect(mine.status).toBe(201)
    expect((await create(token, { hostname: "w2.acme.test" })).status).toBe(403)
    expect((await create(token, { hostname: "w1.acme.test", metadata: { a: 1 } })).body.error.details[0].field).toBe("metadata")
    const foreign = await gateway.call("POST", "/v1/connections", {
      body: { application_id: gateway.mine.application_id, hostname: "w3.acme.test" }
    })
    for (const [method, tail] of [
      ["GET", ""],
      ["GET", "/events"],
      ["POST", "/verify"],
      ["POST", "/records:check"],
      ["POST", "/records:apply"]
    ] as const) {
      expect([tail, (await gateway.call(method, `/v1/connections/${mine.body.id}${tail}`, { key: token })).status]).toEqual([tail, 200])
      expect([tail, (await gateway.call(method, `/v1/connections/${foreign.body.id}${tail}`, { key: token })).status]).toEqual([tail, 404])
    }
    expect((await gateway.call("POST", "/v1/domains:check", { key: token, body: { domain: "w1.acme.test" } })).status).toBe(200)
    expect((await gateway.call("POST", "/v1/domains:check", { key: token, body: { domain: "w2.acme.test" } })).status).toBe(403)
  })

  it("for a user: his connections, not another user's of the same application", async () => {
    const [anna, ben] = [await mint({ sub: "anna" }), await mint({ sub: "ben" })]
    const { body } = await create(anna, { hostname: "anna.acme.test" })
    expect((await gateway.call("GET", `/v1/connections/${body.id}`, { key: anna })).status).toBe(200)
    expect((await gateway.call("GET", `/v1/connections/${body.id}`, { key: ben })).status).toBe(404)
  })

  it("work from the application's origins only", async () => {
    const { body: application } = await gateway.call("POST", "/v1/applications", {
      body: { name: "web", allowed_origins: ["https://app.example.com"] }
    })
    const token = (await gateway.call("POST", "/v1/tokens", { body: { application_id: application.id, sub: "u" } })).body.auth_token
    const from = (origin: string) => gateway.call("GET", "/v1/providers", { key: token, headers: { origin } })
    const allowed = await from("https://app.example.com")
    expect([allowed.status, allowed.headers.get("access-control-allow-origin"), allowed.headers.get("vary")]).toEqual([
      200,
      "https://app.example.com",
      "Origin"
    ])
    const evil = await from("https://evil.example.com")
    expect([evil.status, evil.headers.get("access-control-allow-origin")]).toEqual([403, null])
    const preflight = (origin: string) =>
      gateway.call("OPTIONS", "/v1/connections", { key: null, headers: { origin, "access-control-request-method": "POST" } })
    expect((await preflight("https://app.example.com")).headers.get("access-control-allow-origin")).toBe("https://app.example.com")
    expect((await preflight("https://evil.example.com")).status).toBe(404)
  })

  it("forged ones are refused: other key, algorithm, audience, type, issuer, age, binding", async () => {
    const ring = await Effect.runPromise(
      keyRing("CD_TOKEN_KEY").pipe(Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnvRecord(gateway.env)))
    )
    const good = {
      tid: gateway.mine.tenant_id,
      app: gateway.mine.application_id,
      key: keyIdOf(gateway.mine.api_key),
      origins: [],
      sub: "u",
      jti: "j"
    }
    const now = Math.floor(Date.now() / 1000)
    const times = { iss: "connect-domain", aud: "connect-domain/widget", iat: now, exp: now + 600 }
    const head = { alg: "HS256", typ: "cd-widget+jwt", kid: ring.first }
    const sign = (claims: object, header: object = {}, key: Uint8Array = ring.keys.get(ring.first)!) =>
      new SignJWT({ ...good, ...times, ...claims }).setProtectedHeader({ ...head, ...header }).sign(key)
    const status = async (token: string) => (await gateway.call("GET", "/v1/providers", { key: token })).status
    expect(await status(await sign({}))).toBe(200)
    const none = `${Buffer.from(JSON.stringify({ ...head, alg: "none" })).toString("base64url")}.${(await sign({})).split(".")[1]}.`
    const forged = [
      none,
      await sign({}, {}, new Uint8Array(32)),
      await sign({}, { alg: "HS512" }, new Uint8Array(64)),
      await sign({}, { kid: "other" }),
      await sign({}, { typ: "JWT" }),
      await sign({ aud: "other" }),
      await sign({ iss: "other" }),
      await sign({ exp: now - 1 }),
      await sign({ iat: now - 7200, exp: now + 600 }),
      await sign({ sub: undefined }),
      await sign({ tid: gateway.other.tenant_id }),
      await sign({ key: keyIdOf(gateway.other.api_key) })
    ]
    for (const [index, token] of forged.entries()) expect([index, await status(token)]).toEqual([index, 401])
  })
})
