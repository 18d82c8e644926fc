/** Story 3: `verify` and `records:check` look at once and say what was seen at which server. */
import { zoneFor } from "@connect-domain/sandbox/CustomerDns.ts"
import { challengeOf } from "@connect-domain/sandbox/enterRecords.ts"
import { neededRecords } from "@connect-domain/sandbox/SandboxApi.ts"
import { describe, expect, it } from "vitest"
import { ask, createManual, dns, newHostname, state } from "./Stack.ts"

const verify = (id: string) => ask(state().api_key, "POST", `/v1/connections/${id}/verify`)
const check = (id: string) => ask(state().api_key, "POST", `/v1/connections/${id}/records:check`)

describe("looking at once", () => {
  it("verify says what was seen where, then takes the claim", async () => {
    const hostname = newHostname()
    const zone = zoneFor(hostname)
    const connection = await createManual(hostname)
    const challenge = challengeOf(connection)
    await dns.put(zone, [{ ...challenge, value: "cd-verify-of-somebody-else" }])
    const refused = await verify(connection.id)
    expect(refused.status).toBe(409)
    expect(refused.body).toMatchObject({ error: { code: "ownership_not_found", request_id: expect.any(String) } })
    const { look } = (refused.body!.error as { details: { look: { servers: ReadonlyArray<Record<string, unknown>> } } }).details
    expect(look.servers).toEqual([expect.objectContaining({ values: ["cd-verify-of-somebody-else"], verdict: "mismatch" })])

    await dns.put(zone, [challenge])
    const verified = await verify(connection.id)
    expect(verified.status).toBe(200)
    expect(["verified", "propagating", "issuing_cert", "live"]).toContain(verified.body?.state)
    expect((await verify(connection.id)).status).toBe(200)
  })

  it("several TXT values at the name are fine if one equals", async () => {
    const connection = await createManual(newHostname())
    const challenge = challengeOf(connection)
    await dns.put(zoneFor(connection.hostname), [{ ...challenge, value: "something else" }, challenge])
    expect((await verify(connection.id)).status).toBe(200)
  })

  it("records:check tells record by record, server by server", async () => {
    const hostname = newHostname()
    const zone = zoneFor(hostname)
    const connection = await createManual(hostname)
    await dns.put(zone, [{ host: hostname, type: "CNAME", value: "elsewhere.example" }])
    const wrong = await check(connection.id)
    expect(wrong.status).toBe(200)
    const [record] = wrong.body!.records as ReadonlyArray<Record<string, unknown>>
    expect(record).toMatchObject({ host: hostname, type: "CNAME", value: "edge.connect.test", propagated: false })
    expect(String(record?.observed_value)).toContain("elsewhere.example")
    expect(record?.servers).toEqual([expect.objectContaining({ values: ["elsewhere.example"], verdict: "mismatch" })])
    expect(wrong.body).toHaveProperty("eta")

    await dns.put(zone, neededRecords(connection))
    const right = await check(connection.id)
    expect((right.body!.records as ReadonlyArray<Record<string, unknown>>)[0]).toMatchObject({ host: hostname, propagated: true })
  })
})
