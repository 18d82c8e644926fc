/**
 * What a vendor can set at the edge, for an application and for one connection.
 *
 * Owns: the settings as they are stored and shown (`EdgeSettings`), and as routers get them (`HostnameFlags`, in registry entries and in
 * the `applications` bucket). Leaves to the gateway: strict reading and the sentences about what is wrong; to the lifecycle: settings →
 * flags; to the router: acting on them.
 * A connection's own setting goes before its application's. `false` switches off what the application sets; an absent key inherits.
 */
import { Schema, Struct } from "effect"

export const redirectStatuses = [301, 302, 307, 308] as const
const off = Schema.Literal(false)

/** `www`, `apex`: the name with or without its `www.`; else a host name or an https URL. */
const EdgeRedirect = Schema.Struct({
  to: Schema.String,
  /** Default 308. */
  status: Schema.optionalKey(Schema.Literals(redirectStatuses)),
  /** Path and query of the request behind the target's own path. Default true. */
  keep_path: Schema.optionalKey(Schema.Boolean)
})

const EdgeMaintenance = Schema.Struct({
  /** Seconds; default 300. */
  retry_after: Schema.optionalKey(Schema.Int)
})

const EdgeHsts = Schema.Struct({
  /** Seconds. */
  max_age: Schema.Int,
  include_subdomains: Schema.optionalKey(Schema.Boolean),
  preload: Schema.optionalKey(Schema.Boolean)
})

/** Each absent: no limit. Rates without a burst allow one second's worth at once. */
export const EdgeLimits = Schema.Struct({
  requests_per_second: Schema.optionalKey(Schema.Int),
  burst: Schema.optionalKey(Schema.Int),
  requests_per_second_per_ip: Schema.optionalKey(Schema.Int),
  burst_per_ip: Schema.optionalKey(Schema.Int),
  /** Open client connections. */
  connections: Schema.optionalKey(Schema.Int)
})
export type EdgeLimits = typeof EdgeLimits.Type

const settings = Schema.Struct({
  redirect: Schema.Union([off, Schema.Literals(["www", "apex"]), EdgeRedirect]),
  maintenance: Schema.Union([Schema.Boolean, EdgeMaintenance]),
  hsts: Schema.Union([off, EdgeHsts]),
  /** The Host that the origin sees: the visitor's (`preserve`, the default) or the origin's own name. */
  host_header: Schema.Literals(["preserve", "origin"]),
  /** A PROXY header in front of every connection to the origin; such connections are never shared or kept. */
  proxy_protocol: Schema.Union([off, Schema.Literals(["v1", "v2"])]),
  limits: Schema.Union([off, EdgeLimits])
})

export const EdgeSettings = settings.mapFields(Struct.map(Schema.optionalKey))
export type EdgeSettings = typeof EdgeSettings.Type

/** A change of settings: absent keys stay as they are, null takes a setting away. */
export const EdgeChange = settings.mapFields(Struct.map(Schema.NullOr)).mapFields(Struct.map(Schema.optionalKey))
export type EdgeChange = typeof EdgeChange.Type

/** The settings after a change; a null change takes all of them away. */
export const changedEdge = (before: EdgeSettings, change: EdgeChange | null | undefined): EdgeSettings => {
  if (change === undefined) return before
  if (change === null) return {}
  const merged = Object.entries({ ...before, ...change }).filter(([, value]) => value !== null && value !== undefined)
  return Object.fromEntries(merged) as EdgeSettings
}

/**
 * Settings as routers read them. Every key may be absent; a value that a router does not understand counts as absent, never as an error.
 * `false` among a hostname's flags switches off the application's; among an application's it means the same as absent.
 */
export const HostnameFlags = Schema.Struct({
  /** The entry's origin is its application's: the `applications` bucket knows the one of now. */
  origin: Schema.optionalKey(Schema.Literal("application")),
  host_header: Schema.optionalKey(Schema.Literals(["preserve", "origin"])),
  /** `hostname`: `www`, `apex`, or `name[:port]`; `path`: in front of the request's, without slash at its end. */
  redirect_to: Schema.optionalKey(
    Schema.Union([
      off,
      Schema.Struct({
        hostname: Schema.String,
        path: Schema.optionalKey(Schema.String),
        status: Schema.Literals(redirectStatuses),
        keep_path: Schema.Boolean
      })
    ])
  ),
  hsts: Schema.optionalKey(
    Schema.Union([off, Schema.Struct({ max_age: Schema.Int, include_subdomains: Schema.Boolean, preload: Schema.Boolean })])
  ),
  maintenance: Schema.optionalKey(Schema.Union([off, Schema.Struct({ retry_after: Schema.Int })])),
  proxy_protocol: Schema.optionalKey(Schema.Union([off, Schema.Literals(["v1", "v2"])])),
  limits: Schema.optionalKey(Schema.Union([off, EdgeLimits]))
})
export type HostnameFlags = typeof HostnameFlags.Type

/** Seconds. */
const defaultRetryAfter = 300

/** `https://name:port/path/` → `name:port` and `/path`; a bare name stays one. The gateway has checked the form. */
const readTarget = (to: string): { readonly hostname: string; readonly path?: string } => {
  const url = to.includes("/") ? URL.parse(to) : null
  if (url === null) return { hostname: to }
  const path = url.pathname.replace(/\/$/, "")
  return { hostname: url.host, ...(path === "" ? {} : { path }) }
}

const redirectFlag = (redirect: NonNullable<EdgeSettings["redirect"]>): NonNullable<HostnameFlags["redirect_to"]> => {
  if (redirect === false) return false
  const { to, status = 308, keep_path = true } = typeof redirect === "string" ? { to: redirect } : redirect
  return { ...readTarget(to), status, keep_path }
}

/** What routers are told of settings, a connection's or an application's. */
export const flagsOf = (edge: EdgeSettings): HostnameFlags => ({
  ...(edge.host_header === undefined ? {} : { host_header: edge.host_header }),
  ...(edge.redirect === undefined ? {} : { redirect_to: redirectFlag(edge.redirect) }),
  ...(edge.hsts === undefined ? {} : { hsts: edge.hsts === false ? false : { include_subdomains: false, preload: false, ...edge.hsts } }),
  ...(edge.maintenance === undefined
    ? {}
    : {
        maintenance:
          edge.maintenance === false
            ? false
            : { retry_after: edge.maintenance === true ? defaultRetryAfter : (edge.maintenance.retry_after ?? defaultRetryAfter) }
      }),
  ...(edge.proxy_protocol === undefined ? {} : { proxy_protocol: edge.proxy_protocol }),
  ...(edge.limits === undefined ? {} : { limits: edge.limits })
})
