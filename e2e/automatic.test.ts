/** Story 2: with a credential of the customer's DNS provider nothing is left for the customer to do, and nothing else is touched. */
import { zoneFor } from "@connect-domain/sandbox/CustomerDns.ts"
import { describe, expect, it } from "vitest"
import { api, applicationWithCredential, ask, dns, eventsOf, newHostname, state, until, untilState } from "./Stack.ts"
import { visit } from "./Visitor.ts"

interface ZoneView {
  readonly rrsets: ReadonlyArray<{
    readonly name: string
    readonly type: string
    readonly records: ReadonlyArray<{ readonly content: string }>
  }>
}

const readZone = async (zone: string): Promise<Map<string, ReadonlyArray<string>>> => {
  const { dns: server } = state()
  const response = await fetch(`${server.api_url}/api/v1/servers/localhost/zones/${zone}.`, { headers: { "x-api-key": server.api_key } })
  const { rrsets } = (await response.json()) as ZoneView
  return new Map(
    rrsets.filter((set) => set.type !== "SOA").map((set) => [`${set.name} ${set.type}`, set.records.map((one) => one.content).sort()])
  )
}

describe("a hostname is connected through the provider's API", () => {
  it("goes live without the customer, and leaves other records alone", async () => {
    const application = await applicationWithCredential()
    const hostname = newHostname("www")
    const zone = zoneFor(hostname)
    await dns.put(zone, [
      { host: zone, type: "MX", value: "mail.example", priority: 10 },
      { host: zone, type: "TXT", value: "v=spf1 -all" },
      { host: `other.${zone}`, type: "A", value: "192.0.2.7" }
    ])
    const before = await readZone(zone)
    const connection = await api.create({ application_id: application, hostname })
    expect(connection).toMatchObject({ state: "verifying", setup_type: "automatic" })
    await untilState(connection.id, "live")
    const types = (await eventsOf(connection.id)).map((event) => event.type)
    expect(types).toEqual(["domain.verified", "domain.added", "ssl.issued", "domain.flow.completed"])

    const after = await until("the ownership TXT and the answer to the CA are gone", async () => {
      const now = await readZone(zone)
      const left = ["_customdomain-challenge", "_acme-challenge"].some((label) => now.has(`${label}.${hostname}. TXT`))
      return left ? undefined : now
    })
    expect(after.get(`${hostname}. CNAME`)).toEqual(["edge.connect.test."])
    after.delete(`${hostname}. CNAME`)
    // Offered once the CA is known to take it; nothing waits for it.
    after.delete(`_validation-persist.${hostname}. TXT`)
    expect(after).toEqual(before)
    expect((await visit(hostname)).status).toBe(200)
  })

  it("says what the user can do when the credential is wrong", async () => {
    const { api_key, application_id, dns: server } = state()
    const token = { url: server.api_url, api_key: "wrong" }
    const answer = await ask(api_key, "POST", `/v1/applications/${application_id}/credentials`, { provider: "powerdns", token })
    if (answer.status === 201) {
      const id = String(answer.body?.id)
      const tested = await ask(api_key, "POST", `/v1/applications/${application_id}/credentials/${id}:test`)
      expect(JSON.stringify(tested.body)).not.toContain('"wrong"')
      await api.call("DELETE", `/v1/applications/${application_id}/credentials/${id}`)
      expect(JSON.stringify(tested.body)).toMatch(/access_denied|denied|key/i)
    } else expect(answer.status).toBe(400)
  })
})
