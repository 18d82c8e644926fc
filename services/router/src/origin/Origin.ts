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
const remembered = new Map<string, Origin | undefined>()

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

/** The origin of a registry entry; undefined when it has none that can be read. */
export const readOrigin = (tenant: string, url: string): Origin | undefined => {
  const key = `${tenant} ${url}`
  if (remembered.has(key)) return remembered.get(key)
  if (remembered.size >= maxRemembered) remembered.clear()
  const origin = read(tenant, url)
  remembered.set(key, origin)
  return origin
}
