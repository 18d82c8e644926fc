/** Wildcards through the API: which are taken, which are refused, and what `domains:check` is asked. */
import { afterAll, beforeAll, expect, it } from "vitest"
import { type GatewayUnderTest, startGateway } from "../testing/GatewayUnderTest.ts"

let gateway: GatewayUnderTest
beforeAll(async () => {
  gateway = await startGateway({ CD_ACME_DNS_ZONE: "answers.vendor.test" })
})
afterAll(() => gateway.stop())

const create = (hostname: string) =>
  gateway.call("POST", "/v1/connections", { body: { application_id: gateway.mine.application_id, hostname } })

it("a wildcard is a hostname like another, in any spelling, and a sub-domain", async () => {
  const { status, body } = await create("*.Wild.Customer.TEST.")
  expect([status, body.hostname, body.kind]).toEqual([201, "*.wild.customer.test", "subdomain"])
  const listed = await gateway.call("GET", `/v1/connections?hostname=${encodeURIComponent("*.WILD.customer.test")}`)
  expect(listed.body.data.map(({ hostname }: { hostname: string }) => hostname)).toEqual(["*.wild.customer.test"])
  expect((await gateway.call("POST", "/v1/domains:check", { body: { domain: "*.wild.customer.test" } })).status).toBe(200)
})

it.each([
  "*.co.uk",
  "*.github.io",
  "*.compute.amazonaws.com",
  "a.*.customer.test",
  "*.*.customer.test",
  "*",
  "*.answers.vendor.test",
  "x.answers.vendor.test"
])("D7: %s is refused with the field's name", async (hostname) => {
  const { status, body } = await create(hostname)
  expect([status, body.error.code, body.error.details[0].field]).toEqual([400, "invalid", "hostname"])
})

it("D8: an end user's token takes a wildcard only where it was made for that one", async () => {
  const hostname = "*.user.customer.test"
  const createAs = async (bound: object) => {
    const token = await gateway.call("POST", "/v1/tokens", { body: { application_id: gateway.mine.application_id, ...bound } })
    return gateway.call("POST", "/v1/connections", { key: token.body.auth_token, body: { hostname } })
  }
  const refused = await createAs({ sub: "anna" })
  expect([refused.status, refused.body.error.code]).toEqual([403, "forbidden"])
  expect(refused.body.error.message).toContain(`"domain": "${hostname}"`)
  expect((await createAs({ domain: hostname })).status).toBe(201)
})
