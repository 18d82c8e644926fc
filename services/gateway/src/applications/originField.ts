/**
 * Where the edge shall proxy to, as somebody typed it.
 *
 * Owns: the early, explained refusal. Leaves to the router: the check that counts, at the moment of connecting.
 */
import { isIP } from "node:net"
import { readPrefix } from "@connect-domain/domain/originPrefix.ts"
import { isBadPort } from "@connect-domain/egress/badPorts.ts"
import type { FieldProblem } from "../http/ApiError.ts"
import type { Settings } from "../Settings.ts"

const problem = (field: string, message: string): ReadonlyArray<FieldProblem> => [{ field, message }]

const pathRule = "has a path that is not plain: segments of letters, digits and .-_~!$&'()*+,=:@, none of them . or .., no percent forms"

/** A parser takes `..` and the like out of a path; who typed them meant something that would not happen. */
const isTyped = (value: string, path: string): boolean => (/^[a-z]+:\/\/[^/]*(.*)$/i.exec(value)?.[1] || "/") === path

/** Null and absent are fine. */
export const checkOrigin = (settings: Settings["Service"], value: unknown, field = "origin"): ReadonlyArray<FieldProblem> => {
  if (value === undefined || value === null || typeof value !== "string") return []
  const url = value.length <= 2048 ? URL.parse(value) : null
  if (url === null || (url.protocol !== "https:" && url.protocol !== "http:"))
    return problem(field, "must be a URL such as https://app.example.com")
  if (url.username !== "" || url.password !== "") return problem(field, "must not contain a user name or password")
  if (url.port === "0") return problem(field, "must not have port 0, at which nothing can be reached")
  if (isBadPort(Number(url.port || 443))) return problem(field, `must not have port ${url.port}, which belongs to another protocol`)
  if (url.search !== "" || url.hash !== "" || /[?#]/.test(value)) return problem(field, "must have no query or fragment")
  if (readPrefix(url.pathname) === undefined || !isTyped(value, url.pathname)) return problem(field, pathRule)
  const host = url.hostname.replace(/^\[|\]$/g, "")
  const isEdgeAddress = !settings.sandbox && url.port === "" && settings.edgeAddresses.includes(host)
  if (host === settings.edge || isEdgeAddress) return problem(field, "must not be this service itself")
  if (isIP(host) !== 0 && settings.addresses.check(host) === "denied") return problem(field, "must not be a private or reserved address")
  if (!settings.sandbox && (host === "localhost" || host.endsWith(".localhost"))) return problem(field, "must not be this machine")
  return []
}
