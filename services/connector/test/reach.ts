/** What providers get of the outside in tests: the real clients, with loopback opened. */
import type { Reach } from "@connect-domain/dns-provider/Descriptor.ts"
import { makeAddressPolicy, parseNetwork } from "@connect-domain/egress/AddressPolicy.ts"
import { HttpClient } from "@connect-domain/egress/HttpClient.ts"
import { Effect, Exit, Scope } from "effect"
import { makeReach } from "../src/Credentials.ts"

const loopback = makeAddressPolicy([parseNetwork("127.0.0.0/8")!])

export const openReach = async (): Promise<{ readonly reach: Reach; readonly close: () => Promise<void> }> => {
  const scope = Scope.makeUnsafe()
  const http = await Effect.runPromise(Scope.provide(HttpClient.make(loopback), scope))
  return { reach: makeReach(http, loopback), close: () => Effect.runPromise(Scope.close(scope, Exit.void)) }
}
