/**
 * What a vendor sets at the edge, as the API takes and shows it.
 *
 * Owns: the forms and ranges, with the sentence that a caller reads when one is wrong. Leaves to libs/messages: what the settings are; to the
 * lifecycle: whether a redirect's target is connected.
 */
import { parseHostname } from "@connect-domain/domain/Hostname.ts"
import { redirectStatuses, EdgeSettings as Stored } from "@connect-domain/messages/edge.ts"
import { Result, Schema } from "effect"

const whole = (minimum: number, maximum: number) =>
  Schema.Int.check(
    Schema.makeFilter((value: number) => (value >= minimum && value <= maximum) || `must be a whole number from ${minimum} to ${maximum}`)
  )

/** As `parseHostname` reads it and no other spelling: what is stored is what routers compare. */
const nameProblem = (name: string): true | string => {
  const parsed = parseHostname(name)
  if (Result.isFailure(parsed)) return parsed.failure.message
  if (!parsed.success.includes(".") || parsed.success.includes("*")) return "must be a whole host name"
  return parsed.success === name || `must be written as ${parsed.success}`
}

const targetProblem = (to: string): true | string => {
  if (to === "www" || to === "apex") return true
  if (!/[/:]/.test(to)) return nameProblem(to)
  const url = to.length <= 2048 && to.startsWith("https://") ? URL.parse(to) : null
  if (url === null) return "must be a host name, or a URL that begins with https://"
  if (url.username !== "" || url.password !== "") return "must not contain a user name or password"
  if (url.port === "0") return "must not have port 0, at which nothing can be reached"
  if (url.search !== "" || url.hash !== "") return "must have no query and no fragment"
  return nameProblem(url.hostname)
}

const Redirect = Schema.Struct({
  /** `www` or `apex` (this name with or without its `www.`), a host name, or an https URL whose path goes in front of the request's. */
  to: Schema.String.check(Schema.makeFilter(targetProblem)),
  status: Schema.optionalKey(Schema.Literals(redirectStatuses)),
  keep_path: Schema.optionalKey(Schema.Boolean)
})

const yearInSeconds = 31_536_000
/** The preload list's own conditions (hstspreload.org, 2026-11): a header that it would refuse only misleads. */
const Hsts = Schema.Struct({
  max_age: whole(0, 10 * yearInSeconds),
  include_subdomains: Schema.optionalKey(Schema.Boolean),
  preload: Schema.optionalKey(Schema.Boolean)
}).check(
  Schema.makeFilter(({ max_age, include_subdomains = false, preload = false }) =>
    !preload || (include_subdomains && max_age >= yearInSeconds)
      ? true
      : { path: ["preload"], issue: `needs include_subdomains and a max_age of at least ${yearInSeconds}` }
  )
)

const count = whole(1, 1_000_000)
const Limits = Schema.Struct({
  requests_per_second: Schema.optionalKey(count),
  burst: Schema.optionalKey(count),
  requests_per_second_per_ip: Schema.optionalKey(count),
  burst_per_ip: Schema.optionalKey(count),
  connections: Schema.optionalKey(count)
}).check(
  Schema.makeFilter((limits) => {
    if (limits.burst !== undefined && limits.requests_per_second === undefined)
      return { path: ["burst"], issue: "needs requests_per_second beside it" }
    if (limits.burst_per_ip !== undefined && limits.requests_per_second_per_ip === undefined)
      return { path: ["burst_per_ip"], issue: "needs requests_per_second_per_ip beside it" }
    return Object.keys(limits).length > 0 || "must set at least one limit; false or null takes them away"
  })
)

const off = Schema.Literal(false)

/** Absent: stays as it is. Null: taken away, so that the application's holds again. False: off, whatever the application sets. */
export const EdgeChange = Schema.Struct({
  redirect: Schema.optionalKey(Schema.NullOr(Schema.Union([off, Schema.Literals(["www", "apex"]), Redirect]))),
  maintenance: Schema.optionalKey(
    Schema.NullOr(Schema.Union([Schema.Boolean, Schema.Struct({ retry_after: Schema.optionalKey(whole(1, 604_800)) })]))
  ),
  hsts: Schema.optionalKey(Schema.NullOr(Schema.Union([off, Hsts]))),
  host_header: Schema.optionalKey(Schema.NullOr(Schema.Literals(["preserve", "origin"]))),
  proxy_protocol: Schema.optionalKey(Schema.NullOr(Schema.Union([off, Schema.Literals(["v1", "v2"])]))),
  limits: Schema.optionalKey(Schema.NullOr(Schema.Union([off, Limits])))
}).annotate({ identifier: "EdgeChange" })

/** What was set here; without what an application sets for its connections. */
export const EdgeSettings = Stored.annotate({ identifier: "EdgeSettings" })

const maxPageBytes = 32 * 1024

/** HTML with `{status} {title} {message} {request_id} {hostname}`, instead of the edge's own pages. Scripts don't run in it. */
export const ErrorPage = Schema.String.check(
  Schema.makeFilter((html: string) => {
    if (html.trim() === "") return "must not be empty; null brings back the edge's own pages"
    if (html.includes("\0")) return "must not contain the character U+0000"
    return Buffer.byteLength(html) <= maxPageBytes || `must be at most ${maxPageBytes} bytes of UTF-8`
  })
)
