/**
 * Where visitors of a hostname are sent instead.
 *
 * Owns: the location. Leaves to the lifecycle: refusing a redirect that can't work when it is set; this looks again at every request, since the
 * other name may be gone by now. Built against: a redirect to a name that we can't serve, and names that send visitors round in a circle.
 */
import type { HostnameEntry } from "@connect-domain/messages/buckets.ts"
import type { RequestHead } from "../http1/requestHead.ts"
import type { HostnameTable } from "../registry/HostnameTable.ts"
import type { Applications } from "./Applications.ts"
import type { Redirect } from "./Policy.ts"

export interface Known {
  readonly table: HostnameTable
  readonly applications: Applications
}

const maxSteps = 8

const isSibling = ({ hostname }: Redirect): boolean => hostname === "www" || hostname === "apex"

/** The name that visitors of `host` are sent to; "" when this redirect has none for it. */
const targetOf = ({ hostname }: Redirect, host: string): string => {
  if (hostname === "www") return host.startsWith("www.") ? "" : `www.${host}`
  if (hostname === "apex") return host.startsWith("www.") ? host.slice(4) : ""
  const colon = hostname.indexOf(":")
  return colon < 0 ? hostname : hostname.slice(0, colon)
}

/** A sibling must be held by the same application, with a certificate that it can be served with. */
const canBeServed = ({ table }: Known, name: string, entry: HostnameEntry): boolean => {
  const other = table.find(name)
  return other !== undefined && other.application_id === entry.application_id && table.certificateOf(other) !== undefined
}

/** Whether the way from `name` leads back to `host`, as far as we know it. */
const leadsBack = ({ applications, table }: Known, name: string, host: string): boolean => {
  let at = name
  for (let step = 0; step < maxSteps; step++) {
    if (at === host) return true
    const entry = table.find(at)
    const redirect = entry === undefined ? undefined : applications.policyOf(entry).redirect
    if (redirect === undefined) return false
    at = targetOf(redirect, at)
    if (at === "") return false
  }
  return true
}

/** The location for a request, or undefined: it is served here. Siblings keep the port that the visitor used. */
export const locationOf = (known: Known, entry: HostnameEntry, redirect: Redirect, head: RequestHead): string | undefined => {
  const target = targetOf(redirect, head.host)
  const sibling = isSibling(redirect)
  if (target === "" || (sibling && !canBeServed(known, target, entry)) || leadsBack(known, target, head.host)) return undefined
  const authority = sibling ? (head.port === "" ? target : `${target}:${head.port}`) : redirect.hostname
  const path = redirect.path ?? ""
  if (!redirect.keep_path) return `https://${authority}${path === "" ? "/" : path}`
  return `https://${authority}${path}${head.target === "*" ? "/" : head.target}`
}
