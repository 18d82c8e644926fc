/** The reference passes the suite, records what it was asked, and fails on request. */
import { Effect } from "effect"
import { expect, test } from "vitest"
import { RateLimited } from "./DnsProvider.ts"
import { dnsProviderSuite } from "./DnsProviderSuite.ts"
import { makeMemoryProvider } from "./MemoryProvider.ts"

dnsProviderSuite(async () => ({ provider: makeMemoryProvider(new Map([["suite.test", []]])).provider, zone: "suite.test" }))

test("a failure is used once", async () => {
  const { provider, failNext, calls } = makeMemoryProvider(new Map([["acme.test", []]]))
  failNext("findZone", new RateLimited({ retryAfterSeconds: 7 }))
  expect((await Effect.runPromise(Effect.flip(provider.findZone("acme.test")))).message).toBe(
    "memory findZone: the provider asks to wait 7 s"
  )
  expect(await Effect.runPromise(provider.findZone("acme.test"))).toEqual({ name: "acme.test", id: "acme.test" })
  expect(calls.map((call) => call.operation)).toEqual(["findZone", "findZone"])
})
