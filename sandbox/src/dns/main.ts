/**
 * The sandbox's DNS: an authoritative server for the root, `test.` and every zone made through its PowerDNS-shaped API. It stands for the
 * whole DNS of a machine that must not depend on the real one: customers' zones, the edge's own name, and the resolver that a test CA uses.
 *
 * Configuration (environment):
 * - CD_SANDBOX_DNS_LISTEN: address and port for UDP and TCP. Default 127.0.0.1:5300.
 * - CD_SANDBOX_DNS_API_LISTEN: address and port of the HTTP API. Default 127.0.0.1:5380.
 * - CD_SANDBOX_DNS_API_KEY: what X-API-Key must hold. Default `sandbox`.
 * - CD_SANDBOX_DNS_STATE: file that keeps zones over restarts. Default: none, zones live as long as the process.
 */
import { mkdirSync } from "node:fs"
import { dirname } from "node:path"
import { DnsServer } from "./DnsServer.ts"
import { PowerDnsApi } from "./PowerDnsApi.ts"
import { ZoneStore } from "./ZoneStore.ts"

const listenAddress = (name: string, fallback: string): { readonly host: string; readonly port: number } => {
  const value = process.env[name] || fallback
  const [, host, port] = /^\[?(.+?)\]?:(\d+)$/.exec(value) ?? []
  if (host === undefined) throw new Error(`${name} must be address:port, not "${value}"`)
  return { host, port: Number(port) }
}

const journal = process.env.CD_SANDBOX_DNS_STATE || undefined
if (journal !== undefined) mkdirSync(dirname(journal), { recursive: true })
const store = new ZoneStore({ journal })
const dns = new DnsServer(store)
const api = new PowerDnsApi({ store, dns, apiKey: process.env.CD_SANDBOX_DNS_API_KEY || "sandbox" })
const dnsAt = listenAddress("CD_SANDBOX_DNS_LISTEN", "127.0.0.1:5300")
const apiAt = listenAddress("CD_SANDBOX_DNS_API_LISTEN", "127.0.0.1:5380")
const dnsPort = await dns.listen(dnsAt.host, dnsAt.port)
const apiPort = await api.listen(apiAt.host, apiAt.port)
console.log(
  JSON.stringify({
    level: "INFO",
    message: "sandbox dns ready",
    dns: `${dnsAt.host}:${dnsPort}`,
    api: `${apiAt.host}:${apiPort}`,
    zones: store.zones.size
  })
)

const stop = async () => {
  await Promise.all([dns.close(), api.close()])
  process.exit(0)
}
process.once("SIGTERM", () => void stop())
process.once("SIGINT", () => void stop())
