/** What an end user's token can have written through the application's DNS credential. */
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { type GatewayUnderTest, startGateway } from "../testing/GatewayUnderTest.ts"

let gateway: GatewayUnderTest
let application_id: string
beforeAll(async () => {
  gateway = await startGateway()
  application_id = (await gateway.call("POST", "/v1/applications", { body: { name: "with a credential" } })).body.id
  const body = { provider: "powerdns", token: { url: "https://dns.example.com", api_key: "secret" } }
  expect((await gateway.call("POST", `/v1/applications/${application_id}/credentials`, { body })).status).toBe(201)
})
afterAll(() => gateway?.stop())

const mint = async (bound: object) =>
  (await gateway.call("POST", "/v1/tokens", { body: { application_id, ...bound } })).body.auth_token as string
const create = (key: string | undefined, hostname: string, more: object = {}) =>
  gateway.call("POST", "/v1/connections", { ...(key === undefined ? {} : { key }), body: { application_id, hostname, ...more } })
const offersAutomatic = async (key: string | undefined, domain: string) => {
  const body = { application_id, domain }
  const answer = await gateway.call("POST", "/v1/domains:check", { ...(key === undefined ? {} : { key }), body })
  const types: ReadonlyArray<{ readonly type: string; readonly offered: boolean }> = answer.body.setup_types
  return types.find(({ type }) => type === "automatic")!.offered
}

describe("P11, D12: the application's DNS credential", () => {
  it("proves and writes what the vendor's key asks for, or a token for that very host name", async () => {
    const token = await mint({ domain: "two.acme.test", sub: "anna" })
    expect([await offersAutomatic(undefined, "one.acme.test"), await offersAutomatic(token, "two.acme.test")]).toEqual([true, true])
    expect((await create(undefined, "one.acme.test")).body.setup_type).toBe("automatic")
    const { body } = await create(token, "two.acme.test")
    expect(body.setup_type).toBe("automatic")
    expect((await gateway.call("POST", `/v1/connections/${body.id}/records:apply`, { key: token })).status).toBe(200)
  })

  it("does nothing for a token without a host name: its user is guided, and told what automatic set-up needs", async () => {
    const token = await mint({ sub: "mallory" })
    expect(await offersAutomatic(token, "admin.acme.test")).toBe(false)
    const asked = await create(token, "admin.acme.test", { setup_type: "automatic" })
    expect([asked.status, asked.body.error.code]).toEqual([403, "forbidden"])
    expect(asked.body.error.message).toContain('"domain": "admin.acme.test"')
    const guided = await create(token, "admin.acme.test")
    expect([guided.status, guided.body.setup_type]).toEqual([201, "manual"])
    expect(guided.body.ownership_challenge.type).toBe("TXT")
    const applied = await gateway.call("POST", `/v1/connections/${guided.body.id}/records:apply`, { key: token })
    expect([applied.status, applied.body.error.code]).toEqual([403, "forbidden"])
    expect(applied.body.error.message).toContain('"domain"')
  })
})
