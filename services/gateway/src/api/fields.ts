/**
 * Fields that several requests have, with the sentence that a caller reads when one is wrong.
 *
 * Owns: lengths and forms that need no setting to judge. Leaves to handlers: what depends on the installation (host names, origins).
 */
import { isIPv4, isIPv6 } from "node:net"
import { planRecords } from "@connect-domain/connection/planRecords.ts"
import { RecordType } from "@connect-domain/messages/record.ts"
import { Result, Schema } from "effect"
import { scopes } from "./Access.ts"

const sized = (minimum: number, maximum: number) =>
  Schema.String.check(
    Schema.makeFilter((text: string) =>
      text.trim().length < minimum ? "must not be empty" : text.length <= maximum || `must be at most ${maximum} characters`
    )
  )

export const Name = sized(1, 200)
export const Reference = sized(1, 128)
export const Id = Schema.String
export const Environment = Schema.Literals(["test", "live"])
export const Scopes = Schema.Array(Schema.Literals(scopes)).check(
  Schema.makeFilter(
    (list: ReadonlyArray<string>) => (list.length > 0 && new Set(list).size === list.length) || "must name each scope once, at least one"
  )
)

const millisOf = (text: string): number =>
  /^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)$/.test(text) ? Date.parse(text) : Number.NaN
export const Time = Schema.String.check(
  Schema.makeFilter((text: string) => !Number.isNaN(millisOf(text)) || "must be an ISO 8601 time such as 2030-01-31T00:00:00Z")
)

/** An origin as browsers print it (RFC 6454 §6.1); plain http only on the developer's own machine. */
const isWebOrigin = (text: string): boolean => {
  const url = URL.parse(text)
  return (
    url !== null &&
    url.origin === text &&
    (url.protocol === "https:" || (url.protocol === "http:" && /^(localhost|127\.0\.0\.1|\[::1\])$/.test(url.hostname)))
  )
}
export const AllowedOrigins = Schema.Array(
  Schema.String.check(
    Schema.makeFilter((text: string) => isWebOrigin(text) || "must be an origin such as https://app.example.com, without a path")
  )
).check(Schema.makeFilter((list: ReadonlyArray<string>) => list.length <= 50 || "must list at most 50 origins"))

export const Metadata = Schema.Record(Schema.String, Schema.Json).check(
  Schema.makeFilter((value: unknown) => JSON.stringify(value).length <= 16_384 || "must be at most 16 KiB of JSON")
)

const Ttl = Schema.Int.check(Schema.makeFilter((ttl: number) => (ttl >= 30 && ttl <= 604_800) || "must be from 30 to 604800 seconds"))
const Priority = Schema.Int.check(Schema.makeFilter((value: number) => (value >= 0 && value <= 65_535) || "must be from 0 to 65535"))
const Value = sized(1, 4096)
const Host = Schema.String.check(
  Schema.makeFilter(
    (host: string) =>
      /^(?=.{1,253}$)(?:(?:\*|[a-z0-9_-]{1,63})\.)+[a-z0-9-]{1,63}$/.test(host) ||
      "must be an absolute, lower-case name without trailing dot"
  )
)

/** A name with or without trailing dot, in any case; labels may start with an underscore. */
const isName = (text: string): boolean => /^(?=.{1,254}$)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?\.)*[a-z0-9-]{1,63}\.?$/i.test(text)

/** What can't be a record of its type, and so would be waited for in vain. Types that are not here take any text. */
const valueProblem = (type: RecordType, value: string): string | undefined => {
  if (type === "A") return isIPv4(value) ? undefined : "must be an IPv4 address"
  if (type === "AAAA") return isIPv6(value) && !value.includes("%") ? undefined : "must be an IPv6 address"
  if (type === "MX") return isName(value.replace(/^\d{1,5} +/, "")) ? undefined : "must be a host name"
  if (type === "CNAME" || type === "ALIAS" || type === "NS") return isName(value) ? undefined : "must be a host name"
  return undefined
}

export const NewRecord = Schema.Struct({
  host: Host,
  type: RecordType,
  value: Value,
  ttl: Schema.optionalKey(Ttl),
  priority: Schema.optionalKey(Priority),
  required: Schema.optionalKey(Schema.Boolean)
}).check(
  Schema.makeFilter((record) => {
    const issue = valueProblem(record.type, record.value)
    return issue === undefined ? true : { path: ["value"], issue }
  })
)
export const NewRecords = Schema.Array(NewRecord).check(
  Schema.makeFilter((list: ReadonlyArray<unknown>) => (list.length >= 1 && list.length <= 30) || "must list from 1 to 30 records")
)

const TemplateRecord = Schema.Struct({
  host: sized(1, 253),
  type: RecordType,
  value: Value,
  ttl: Schema.optionalKey(Ttl),
  priority: Schema.optionalKey(Priority)
})
const templateSamples = { subdomain: "shop.customer.example.org", apex: "customer.example.org" } as const

/** Plans a made-up name with it, so that a template that can never work is refused when it is written, not when a customer comes. */
const templateProblem = (template: Parameters<typeof planRecords>[0]): string | undefined => {
  for (const kind of ["subdomain", "apex"] as const) {
    const hostname = templateSamples[kind]
    const target = {
      hostname,
      apex: kind === "apex" ? hostname : "example.org",
      kind,
      edge: "edge.example.net",
      edge_addresses: ["192.0.2.1"]
    }
    const planned = planRecords(template, target)
    if (Result.isFailure(planned)) return `${planned.failure.field.replace(/^record_template\.?/, "")}: ${planned.failure.message}`
    for (const [index, record] of planned.success.entries()) {
      if (/[{}]/.test(record.host + record.value)) return `${kind}: the placeholders are {hostname}, {apex} and {edge}`
      const wrong = valueProblem(record.type, record.value)
      if (wrong !== undefined) return `${kind}[${index}].value: ${wrong}`
    }
  }
  return undefined
}
export const RecordTemplate = Schema.Struct({
  subdomain: Schema.optionalKey(Schema.Array(TemplateRecord)),
  apex: Schema.optionalKey(Schema.Array(TemplateRecord))
}).check(Schema.makeFilter((template) => templateProblem(template) ?? true))
