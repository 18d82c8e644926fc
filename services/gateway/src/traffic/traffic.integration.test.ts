/** GET /v1/connections/{id}/traffic: whose it is, what may be asked, what comes back. */
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { type GatewayUnderTest, startGateway } from "../testing/GatewayUnderTest.ts"

let gateway: GatewayUnderTest
let path: string
beforeAll(async () => {
  gateway = await startGateway()
  const body = { application_id: gateway.mine.application_id, hostname: "traffic.acme.test" }
  path = `/v1/connections/${(await gateway.call("POST", "/v1/connections", { body })).body.id}/traffic`
})
afterAll(() => gateway?.stop())

const fieldOf = async (query: string) => {
  const { status, body } = await gateway.call("GET", `${path}?${query}`)
  return [status, body.error?.details?.[0]?.field]
}

describe("a connection's traffic", () => {
  it("comes by the hour of the last day unless asked otherwise, with sums; a step that is asked for is answered whole", async () => {
    const { status, body } = await gateway.call("GET", `${path}?from=2030-01-01T05:17:00Z&to=2030-01-02T00:00:00Z`)
    expect(status).toBe(200)
    expect(body).toMatchObject({ step: "hour", from: "2030-01-01T05:00:00.000Z", to: "2030-01-02T00:00:00.000Z" })
    expect(body.totals).toEqual({ requests: 3, bytes_in: 4, bytes_out: 5 })
    expect(body.data[0].latency).toHaveLength(body.latency_bounds_ms.length + 1)
    const usual = (await gateway.call("GET", path)).body
    expect(Date.parse(usual.to) - Date.parse(usual.from)).toBeGreaterThanOrEqual(86_400_000)
    const days = (await gateway.call("GET", `${path}?step=day&to=2030-01-31T00:00:00Z`)).body
    expect(days.from).toBe("2030-01-01T00:00:00.000Z")
  })

  it("names the field that is wrong", async () => {
    expect(await fieldOf("from=yesterday")).toEqual([400, "from"])
    expect(await fieldOf("to=2030-02-31")).toEqual([400, "to"])
    expect(await fieldOf("step=week")).toEqual([400, "step"])
    expect(await fieldOf("from=2030-01-02T00:00:00Z&to=2030-01-01T00:00:00Z")).toEqual([400, "from"])
    expect(await fieldOf("from=2030-01-01T00:00:00Z&to=2030-03-01T00:00:00Z")).toEqual([400, "from"])
    expect(await fieldOf("from=2030-01-01T00:00:00Z&to=2030-03-01T00:00:00Z&step=day")).toEqual([200, undefined])
  })

  it("P1: another tenant's connection answers as one that does not exist, whatever the query", async () => {
    const unknown = "/v1/connections/00000000-0000-7000-8000-000000000000/traffic"
    const bare = (text: string) => text.replace(/"request_id":"[^"]*"/, "")
    for (const query of ["", "?from=2031-01-01T00:00:00Z&to=2030-01-01T00:00:00Z"]) {
      const foreign = await gateway.call("GET", `${path}${query}`, { key: gateway.other.api_key })
      const missing = await gateway.call("GET", `${unknown}${query}`, { key: gateway.other.api_key })
      expect([foreign.status, bare(foreign.text)]).toEqual([404, bare(missing.text)])
    }
    expect((await gateway.call("GET", "/v1/connections/x/traffic")).status).toBe(404)
  })
})
