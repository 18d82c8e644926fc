/**
 * What holds for one hostname, ready to act on: its own flags before its application's.
 *
 * Owns: reading flags, their order of precedence. Leaves to `Applications.ts`: finding a request's policy without work; to the other files here:
 * what follows from one. Built against: a flag that this version does not understand. It counts as absent; the hostname is served all the same.
 */
import { type EdgeLimits, HostnameFlags } from "@connect-domain/messages/edge.ts"
import { Result, Schema } from "effect"

type Flag<K extends keyof HostnameFlags> = Exclude<HostnameFlags[K], false | undefined>
export type Redirect = Flag<"redirect_to">

export interface Policy {
  /** `Strict-Transport-Security` as a field line with CRLF; "" for none. */
  readonly hsts: string
  readonly redirect: Redirect | undefined
  readonly maintenance: Flag<"maintenance"> | undefined
  /** The origin sees its own name as Host. */
  readonly hostOfOrigin: boolean
  readonly proxyProtocol: Flag<"proxy_protocol"> | undefined
  readonly limits: EdgeLimits | undefined
  /** The vendor's template for error pages. */
  readonly page: string | undefined
}

/** Nothing is set. Shared by all such hostnames, so that it can be told apart by identity. */
export const noPolicy: Policy = {
  hsts: "",
  redirect: undefined,
  maintenance: undefined,
  hostOfOrigin: false,
  proxyProtocol: undefined,
  limits: undefined,
  page: undefined
}

const readers = Object.entries(HostnameFlags.fields).map(
  ([name, schema]) =>
    [name, Schema.decodeUnknownResult(Schema.Struct({ [name]: schema } as Record<string, Schema.Codec<unknown>>))] as const
)

/** Flag by flag; what can't be read is left out. */
export const readFlags = (flags: Readonly<Record<string, unknown>>): HostnameFlags => {
  const read: Record<string, unknown> = {}
  for (const [name, decode] of readers) {
    if (!Object.hasOwn(flags, name)) continue
    const result = decode({ [name]: flags[name] })
    if (Result.isSuccess(result)) read[name] = result.success[name]
  }
  return read as HostnameFlags
}

const on = <V>(value: V | false | undefined): V | undefined => (value === false ? undefined : value)

/** RFC 6797 §6.1. */
const hstsLine = (hsts: Flag<"hsts">): string =>
  `Strict-Transport-Security: max-age=${hsts.max_age}${hsts.include_subdomains ? "; includeSubDomains" : ""}${hsts.preload ? "; preload" : ""}\r\n`

/** `false` among the own flags switches off what the application sets. */
export const makePolicy = (own: HostnameFlags, application: HostnameFlags, page: string | null): Policy => {
  const flags = { ...application, ...own }
  const hsts = on(flags.hsts)
  return {
    hsts: hsts === undefined ? "" : hstsLine(hsts),
    redirect: on(flags.redirect_to),
    maintenance: on(flags.maintenance),
    hostOfOrigin: flags.host_header === "origin",
    proxyProtocol: on(flags.proxy_protocol),
    limits: on(flags.limits),
    page: page ?? undefined
  }
}
