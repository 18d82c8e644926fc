/**
 * The router alone in a process, for measuring: one name, all limits, timeouts and metrics on, the access log on standard output.
 *
 * Arguments: origin URL, folder. Writes `chain.pem`, `key.pem` (for the peers) and `edge.json` ({https}) into the folder.
 */
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { makeAddressPolicy, parseNetwork } from "@connect-domain/egress/AddressPolicy.ts"
import { AccessLog } from "@connect-domain/router/observe/AccessLog.ts"
import { Router } from "@connect-domain/router/Router.ts"
import { Registry } from "@connect-domain/router/registry/Registry.ts"
import { hostnameEntry, makeAuthority, testVault } from "@connect-domain/router/testing/TestEdge.ts"

const [origin, folder, codec] = process.argv.slice(2) as [string, string, "own" | "node" | undefined]
const host = "bench.example.org"
const registry = new Registry()
const policy = makeAddressPolicy([parseNetwork("127.0.0.0/8")!])
const router = new Router({ registry, vault: testVault, policy, http2: codec ?? "own" })
const log = new AccessLog("full")
router.metrics.onRecord = (record) => log.write(record)

const { chain, key } = await (await makeAuthority()).issue([host])
const entry = hostnameEntry(host, { origin, certificate_id: "bench", claim_id: "bench" })
const sealed_key = testVault.seal(key, { tenant: "bench", table: "certificates", column: "key", row: "bench" })
const validity = { not_before: "", not_after: "", serial: "01" }
registry.putCertificate({ certificate_id: "bench", claim_id: "bench", hostnames: [host], chain, sealed_key, ...validity })
registry.putHostname(entry, 1)
const { https } = await router.start({ host: "127.0.0.1", port: 0 }, { host: "127.0.0.1", port: 0 })
writeFileSync(join(folder, "chain.pem"), chain)
writeFileSync(join(folder, "key.pem"), key)
writeFileSync(join(folder, "edge.json"), JSON.stringify({ https }))
process.on("SIGTERM", () => void router.stop(100).then(() => process.exit(0)))
