/**
 * Whether a request may be served on the connection that it came on, and by which entry (requirement E5).
 *
 * Owns: the decision, taken anew for every request. Built against: domain fronting, coalesced and resumed connections that carry one name's rights
 * to another tenant's name.
 */
import type { HostnameEntry } from "@connect-domain/messages/buckets.ts"
import { type Refusal, refuse } from "../http1/Refusal.ts"
import { covers, type HostnameTable } from "../registry/HostnameTable.ts"

/** A name that this kind of edge passed already this often is a loop (RFC 8586). */
const maxHops = 3

/** `serverName`: the connection's SNI in canonical form; "" when it sent none. `host`: the request's, canonical. */
export const decideRoute = (table: HostnameTable, serverName: string, host: string, hops: number): HostnameEntry | Refusal => {
  if (serverName === "") return refuse(421, "no-server-name")
  const entry = table.find(host)
  if (entry === undefined) return refuse(421, "unknown-host")
  if (hops >= maxHops) return refuse(508, "loop")
  if (host === serverName) return entry
  const named = table.find(serverName)
  if (named === undefined || named.tenant_id !== entry.tenant_id) return refuse(421, "host-not-of-connection")
  const certificate = table.certificateOf(named)
  return certificate !== undefined && covers(certificate.hostnames, host) ? entry : refuse(421, "host-not-of-connection")
}
