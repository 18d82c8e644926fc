/**
 * Where requests of a hostname go.
 *
 * Owns: reading an origin, prefix included. Leaves to the gateway: telling the vendor what is wrong with one.
 */
import { readPrefix } from "@connect-domain/domain/originPrefix.ts"

export interface Origin {
  readonly secure: boolean
  /** Host name or address, without brackets. */
  readonly host: string
  readonly port: number
  /** As a Host line names it. */
  readonly authority: string
  /** In front of every request's path; "" for none. */
  readonly prefix: string
  /** First bytes of a connection. They speak of one client, so such a connection serves one exchange and is never kept. */
  readonly preface?: Buffer
  /** Connections are shared among requests with the same key only: tenant, origin and TLS policy (E4, E11). */
  readonly poolKey: string
}

const maxRemembered = 65_536
/** By tenant, then by URL: both are strings that are there already, so that a look-up makes none. */
const remembered = new Map<string, Map<string, Origin | undefined>>()
let size = 0

const read = (tenant: string, url: string): Origin | undefined => {
  const parsed = URL.canParse(url) ? new URL(url) : undefined
  if (parsed === undefined || (parsed.protocol !== "https:" && parsed.protocol !== "http:")) return undefined
  if (parsed.username !== "" || parsed.password !== "" || parsed.hostname === "") return undefined
  const secure = parsed.protocol === "https:"
  const host = parsed.hostname.startsWith("[") ? parsed.hostname.slice(1, -1) : parsed.hostname
  const port = parsed.port === "" ? (secure ? 443 : 80) : Number(parsed.port)
  const prefix = parsed.search === "" && parsed.hash === "" ? readPrefix(parsed.pathname) : undefined
  if (prefix === undefined) return undefined
  return { secure, host, port, authority: parsed.host, prefix, poolKey: `${tenant} ${parsed.protocol}//${host} ${port}` }
}

const remember = (tenant: string, url: string): Origin | undefined => {
  if (size >= maxRemembered) {
    remembered.clear()
    size = 0
  }
  const own = remembered.get(tenant) ?? new Map<string, Origin | undefined>()
  remembered.set(tenant, own)
  if (own.has(url)) return own.get(url)
  const origin = read(tenant, url)
  own.set(url, origin)
  size++
  return origin
}

/** The origin of a registry entry; undefined when it has none that can be read. */
export const readOrigin = (tenant: string, url: string): Origin | undefined => {
  const known = remembered.get(tenant)?.get(url)
  return known ?? remember(tenant, url)
}
