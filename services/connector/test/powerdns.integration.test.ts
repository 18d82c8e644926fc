/** The provider suite against a real PowerDNS and against the sandbox's DNS, and what is special about this API. */
import { replace } from "@connect-domain/dns-provider/ChangePlan.ts"
import type { DnsProvider } from "@connect-domain/dns-provider/DnsProvider.ts"
import { dnsProviderSuite } from "@connect-domain/dns-provider/DnsProviderSuite.ts"
import { startPowerDns } from "@connect-domain/dns-provider/testing/startPowerDns.ts"
import { DnsServer } from "@connect-domain/sandbox/dns/DnsServer.ts"
import { PowerDnsApi } from "@connect-domain/sandbox/dns/PowerDnsApi.ts"
import { ZoneStore } from "@connect-domain/sandbox/dns/ZoneStore.ts"
import { Effect, Result } from "effect"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { powerdns } from "../src/providers/powerdns/descriptor.ts"
import { openReach } from "./reach.ts"

let outside: Awaited<ReturnType<typeof openReach>>
beforeAll(async () => {
  outside = await openReach()
})
afterAll(() => outside.close())

type Server = { readonly url: string; readonly apiKey: string; readonly close: () => Promise<unknown> }
const provider = (server: Server, apiKey = server.apiKey): (typeof DnsProvider)["Service"] =>
  Result.getOrThrow(powerdns.make({ url: server.url, api_key: apiKey }, outside.reach))

const sandbox = async (): Promise<Server> => {
  const store = new ZoneStore()
  const api = new PowerDnsApi({ store, dns: new DnsServer(store), apiKey: "key" })
  return { url: `http://127.0.0.1:${await api.listen("127.0.0.1", 0)}`, apiKey: "key", close: () => api.close() }
}

const call = (server: Server, method: string, path: string, body?: unknown) =>
  fetch(`${server.url}/api/v1/servers/localhost/zones${path}`, {
    method,
    headers: { "x-api-key": server.apiKey },
    ...(body === undefined ? {} : { body: JSON.stringify(body) })
  })

for (const [name, start] of [
  ["PowerDNS", startPowerDns],
  ["the sandbox", sandbox]
] as const) {
  describe(name, () => {
    let server: Server
    let count = 0
    const newZone = async () => {
      const zone = `zone${++count}.test`
      expect((await call(server, "POST", "", { name: `${zone}.`, kind: "Native", nameservers: [`ns1.${zone}.`] })).status).toBe(201)
      return zone
    }
    beforeAll(async () => {
      server = await start()
    })
    afterAll(() => server.close())

    dnsProviderSuite(async () => ({ provider: provider(server), stranger: provider(server, "wrong"), zone: await newZone() }))

    test("a value that the server refuses is a sentence for a person", async () => {
      const zone = await newZone()
      const error = await Effect.runPromise(
        Effect.flip(provider(server).apply({ name: zone, id: `${zone}.` }, [replace(`www.${zone}`, "A", ["192.0.2.999"], { expect: [] })]))
      )
      expect(error.reason).toMatchObject({ _tag: "Unsupported" })
      expect(error.message).toContain("PowerDNS refuses the change")
    })
  })
}

test("a server that is gone is Unavailable, an address that policy closes is AccessDenied", async () => {
  const gone = await sandbox()
  await gone.close()
  expect((await Effect.runPromise(Effect.flip(provider(gone).findZone("acme.test")))).reason).toMatchObject({ _tag: "Unavailable" })
  const inside = Result.getOrThrow(powerdns.make({ url: "http://169.254.169.254", api_key: "x" }, outside.reach))
  expect((await Effect.runPromise(Effect.flip(inside.findZone("acme.test")))).reason).toMatchObject({ _tag: "AccessDenied" })
})
