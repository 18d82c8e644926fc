/**
 * A router that holds many names and has no context yet, in a process of its own: `coldEdge.ts <names>`.
 *
 * Each name has a certificate entry and a sealed key of its own; one key pair stands behind all, since making 100,000 would take longer than the measurement.
 * Tells its parent its port, and on request its memory and event-loop delay.
 */
import { monitorEventLoopDelay } from "node:perf_hooks"
import { makeAddressPolicy } from "@connect-domain/egress/AddressPolicy.ts"
import { Router } from "@connect-domain/router/Router.ts"
import { Registry } from "@connect-domain/router/registry/Registry.ts"
import { hostnameEntry, makeAuthority, testVault } from "@connect-domain/router/testing/TestEdge.ts"

const names = Number(process.argv[2])
const registry = new Registry()
const router = new Router({ registry, vault: testVault, policy: makeAddressPolicy([]) })
const { chain, key } = await (await makeAuthority()).issue(["*.bench.example.org"])
const validity = { not_before: "", not_after: "", serial: "01" }
for (let at = 0; at < names; at++) {
  const hostname = `n${at}.bench.example.org`
  const id = `c${at}`
  const sealed_key = testVault.seal(key, { tenant: id, table: "certificates", column: "key", row: id })
  registry.putCertificate({ certificate_id: id, claim_id: id, hostnames: [hostname], chain: `${chain}`, sealed_key, ...validity })
  registry.putHostname(hostnameEntry(hostname, { certificate_id: id, claim_id: id }), at + 1)
}
const { https } = await router.start({ host: "127.0.0.1", port: 0 }, { host: "127.0.0.1", port: 0 })
const delay = monitorEventLoopDelay({ resolution: 10 })
delay.enable()
process.on("message", () => {
  const megabytes = Math.round(process.memoryUsage().rss / 1024 / 1024)
  process.send?.({
    rss: megabytes,
    ...{ p50: delay.percentile(50) / 1e6, p99: delay.percentile(99) / 1e6, max: delay.max / 1e6 },
    contexts: router.contexts.size,
    counts: router.serverNames.counts
  })
})
process.send?.({ port: https, rss: Math.round(process.memoryUsage().rss / 1024 / 1024) })
