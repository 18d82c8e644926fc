/** Story 8: names proven in the DNS: a wildcard, connected through the provider's API, and a certificate that is there before the move. */
import { Resolver } from "node:dns/promises"
import { setTimeout as sleep } from "node:timers/promises"
import { zoneFor } from "@connect-domain/sandbox/CustomerDns.ts"
import { challengeOf } from "@connect-domain/sandbox/enterRecords.ts"
import { describe, expect, it } from "vitest"
import {
  addRecords,
  api,
  applicationWithCredential,
  ask,
  connectManually,
  createManual,
  dns,
  eventsOf,
  newHostname,
  state,
  until,
  untilState
} from "./Stack.ts"
import { visit } from "./Visitor.ts"

interface Told {
  readonly state: string
  readonly certificate: { readonly status: string; readonly serial: string | null; readonly challenge?: string | null }
}
/** A lasting TXT that stands is used before an answer is written. Ours is not written where something stands in its way, so DNS-01 is left. */
const withoutLasting = (base: string) =>
  dns.put(zoneFor(base), [{ host: `_validation-persist.${base}`, type: "CNAME", value: "nothing.example" }])
const told = (id: string) => api.call<Told>("GET", `/v1/connections/${id}`)

describe("a name is proven in the DNS", () => {
  it("serves every label of a wildcard with one certificate, and leaves a name of its own alone", async () => {
    const wildcard = newHostname("*")
    const base = wildcard.slice(2)
    const own = await connectManually(`own.${base}`)
    await withoutLasting(base)
    const connection = await api.create({ application_id: await applicationWithCredential(), hostname: wildcard })
    await untilState(connection.id, "live")
    const { certificate } = await told(connection.id)
    expect(certificate).toMatchObject({ status: "issued", challenge: "dns-01" })
    const [one, other, exact] = await Promise.all(["one", "other", "own"].map((label) => visit(`${label}.${base}`)))
    expect([one?.status, other?.status, exact?.status]).toEqual([200, 200, 200])
    expect([one?.serial, other?.serial]).toEqual([certificate.serial, certificate.serial])
    expect(exact?.serial).toBe((await told(own.id)).certificate.serial)
    await expect(visit(`two.labels.${base}`)).rejects.toThrow()
  })

  it("moves a site through the provider's API only once its certificate is there", async () => {
    const hostname = newHostname("moving")
    const zone = zoneFor(hostname)
    await dns.put(zone, [{ host: hostname, type: "A", value: "192.0.2.7" }])
    await withoutLasting(hostname)
    const application_id = await applicationWithCredential()
    const name = new Resolver()
    name.setServers([state().dns.address])
    const connection = await api.create({ application_id, hostname })
    await until("the name leads here", async () => ((await name.resolveCname(hostname)).length > 0 ? true : undefined))
    expect((await told(connection.id)).certificate).toMatchObject({ status: "issued", challenge: "dns-01" })
    expect((await visit(hostname)).status).toBe(200)
    await untilState(connection.id, "live")
  })

  it("has the certificate before the records point here, so that the move has no gap", async () => {
    // The CA says in its first authorization that it takes lasting records; from then on they are offered.
    await connectManually()
    const lasting = await until("a lasting record is offered", async () => {
      const connection = await createManual(newHostname())
      const record = connection.desired_records.find(({ host }) => host.startsWith("_validation-persist."))
      if (record !== undefined) return { connection, record }
      await sleep(1_000)
      return undefined
    })
    const { connection, record } = lasting
    expect(record.required).toBe(false)
    const zone = zoneFor(connection.hostname)
    const elsewhere = { host: connection.hostname, type: "CNAME", value: "old.example" }
    await dns.put(zone, [challengeOf(connection), record, elsewhere])
    const early = await until("the certificate is there", async () => {
      const now = await told(connection.id)
      return now.certificate.status === "issued" ? now : undefined
    })
    expect(early).toMatchObject({ state: "propagating", certificate: { challenge: "dns-persist-01" } })
    // Whoever comes to us already, before the DNS says so, is served.
    const before = await until("the edge has it", () => visit(connection.hostname))
    expect([before.status, before.serial]).toEqual([200, early.certificate.serial])
    expect((await eventsOf(connection.id)).map((event) => event.type)).toEqual(["domain.verified"])

    await addRecords(connection)
    await ask(state().api_key, "POST", `/v1/connections/${connection.id}/records:check`)
    await untilState(connection.id, "live")
    expect((await told(connection.id)).certificate.serial).toBe(early.certificate.serial)
    expect((await visit(connection.hostname)).serial).toBe(early.certificate.serial)
    expect((await eventsOf(connection.id)).map((event) => event.type)).toEqual(["domain.verified", "ssl.issued", "domain.flow.completed"])
  })
})
