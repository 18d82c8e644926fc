/** The provider suite against a real BIND, and what its keys and policies refuse. */
import { replace } from "@connect-domain/dns-provider/ChangePlan.ts"
import { dnsProviderSuite } from "@connect-domain/dns-provider/DnsProviderSuite.ts"
import { type BindServer, startBind } from "@connect-domain/dns-provider/testing/startBind.ts"
import { Effect, Result } from "effect"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { rfc2136 } from "../src/providers/rfc2136/descriptor.ts"
import { openReach } from "./reach.ts"

let outside: Awaited<ReturnType<typeof openReach>>
beforeAll(async () => {
  outside = await openReach()
})
afterAll(() => outside.close())

const provider = (server: BindServer, more: object = {}) =>
  Result.getOrThrow(
    rfc2136.make(
      {
        server: "127.0.0.1",
        port: server.port,
        tsig_name: server.keyName,
        tsig_secret: server.secret,
        algorithm: server.algorithm,
        ...more
      },
      outside.reach
    )
  )
const zones = Array.from({ length: 20 }, (_, at) => `zone${at}.test`)

for (const algorithm of ["hmac-sha256", "hmac-sha512", "hmac-sha1"] as const) {
  describe(`BIND with ${algorithm}`, () => {
    let server: BindServer
    let used = 0
    beforeAll(async () => {
      server = await startBind(zones, algorithm)
    })
    afterAll(() => server.close())

    dnsProviderSuite(async () => ({
      provider: provider(server),
      stranger: provider(server, { tsig_secret: Buffer.from("wrong").toString("base64") }),
      zone: zones[used++]!
    }))

    test("a key that the server does not know is refused with a sentence", async () => {
      const error = await Effect.runPromise(Effect.flip(provider(server, { tsig_name: "nobody" }).checkAccess("www.zone0.test")))
      expect(error.reason).toMatchObject({ _tag: "AccessDenied", remedy: expect.stringContaining("tsig_name") })
    })

    test("an addition that a CNAME would silently exclude is a Conflict", async () => {
      const subject = provider(server)
      const at = { name: "zone19.test", id: "zone19.test" }
      await Effect.runPromise(subject.apply(at, [replace("www.zone19.test", "CNAME", ["old.example"], { expect: [] })]))
      const error = await Effect.runPromise(
        Effect.flip(subject.apply(at, [replace("www.zone19.test", "A", ["192.0.2.1"], { expect: [] })]))
      )
      expect(error.reason).toMatchObject({ _tag: "Conflict", found: ["CNAME old.example"] })
    })

    test("a credential for one zone is for that zone only", async () => {
      expect(
        (await Effect.runPromise(Effect.flip(provider(server, { zone: "zone1.test" }).findZone("www.zone0.test")))).reason
      ).toMatchObject({ _tag: "ZoneNotFound" })
      expect(await Effect.runPromise(provider(server, { zone: "zone1.test" }).findZone("www.zone1.test"))).toEqual({
        name: "zone1.test",
        id: "zone1.test"
      })
    })
  })
}
