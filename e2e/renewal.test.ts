/** Story 5: certificates renew by themselves, deleting takes the name from the edge, drift is noticed and healed. */
import { readFileSync } from "node:fs"
import { request } from "node:https"
import { connect } from "node:tls"
import { zoneFor } from "@connect-domain/sandbox/CustomerDns.ts"
import { describe, expect, it } from "vitest"
import { addRecords, api, connectManually, dns, eventsOf, state, until, untilState, untilWebhook } from "./Stack.ts"
import { keepVisiting, visit } from "./Visitor.ts"

/** Pebble's management call that moves a certificate's suggested renewal window; here: into the past. */
const suggestRenewal = (certificatePem: string): Promise<void> =>
  new Promise((resolve, reject) => {
    const { acme } = state()
    const window = { start: new Date(Date.now() - 7_200_000).toISOString(), end: new Date(Date.now() - 3_600_000).toISOString() }
    const body = JSON.stringify({ certificate: certificatePem, ariResponse: JSON.stringify({ suggestedWindow: window }) })
    const call = request(
      `${acme.management}/set-renewal-info/`,
      {
        method: "POST",
        ca: readFileSync(acme.tls_ca!),
        agent: false,
        headers: { "content-type": "application/json", "user-agent": "story" }
      },
      (response) => {
        response.resume()
        response.on("end", () => (response.statusCode === 200 ? resolve() : reject(new Error(`Pebble answered ${response.statusCode}`))))
      }
    )
    call.on("error", reject)
    call.end(body)
  })

const servedCertificate = (hostname: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const { hostname: host, port } = new URL(state().edge_https)
    const socket = connect({ host, port: Number(port), servername: hostname, ca: readFileSync(state().acme.root_ca) }, () => {
      const { raw } = socket.getPeerCertificate()
      socket.end()
      resolve(
        `-----BEGIN CERTIFICATE-----\n${raw
          .toString("base64")
          .match(/.{1,64}/g)!
          .join("\n")}\n-----END CERTIFICATE-----\n`
      )
    })
    socket.once("error", reject)
  })

describe("a live hostname", () => {
  it("gets a new certificate when the authority suggests it, without a dropped connection", async () => {
    const { id, hostname } = await connectManually()
    const first = (await visit(hostname)).serial
    const visitor = keepVisiting(hostname)
    await suggestRenewal(await servedCertificate(hostname))
    await until("the edge serves the new certificate", async () => ((await visit(hostname)).serial === first ? undefined : true))
    const { count, failures } = await visitor.end()
    expect(failures).toEqual([])
    expect(count).toBeGreaterThan(0)
    await untilWebhook(id, "ssl.renewed")
    expect((await api.connection(id)).state).toBe("live")
  })

  it("is refused by the edge once it is deleted", async () => {
    const { id, hostname } = await connectManually()
    expect((await visit(hostname)).status).toBe(200)
    await api.call("DELETE", `/v1/connections/${id}`)
    await untilState(id, "archived")
    await until(
      "the edge refuses the name",
      () =>
        visit(hostname).then(
          () => undefined,
          () => true as const
        ),
      10
    )
    await api.call("DELETE", `/v1/connections/${id}`)
    await untilWebhook(id, "domain.archived")
  })

  it("drifts when its CNAME goes and recovers when it is back; the edge serves all the while", async () => {
    const connection = await connectManually()
    const { id, hostname } = connection
    const visitor = keepVisiting(hostname)
    await dns.remove(zoneFor(hostname), hostname, "CNAME")
    await untilState(id, "drifted")
    await untilWebhook(id, "domain.drift")
    await addRecords(connection)
    await untilState(id, "live")
    await untilWebhook(id, "domain.recovered")
    expect((await visitor.end()).failures).toEqual([])
    const types = (await eventsOf(id)).map((event) => event.type)
    expect(types.slice(-2)).toEqual(["domain.drift", "domain.recovered"])
  })
})
