/**
 * What an endpoint may be: its address and the events it asks for.
 *
 * Owns: the rules that need no network. Leaves to libs/egress the check of the address that is really connected to, at every attempt:
 * a name that is fine today may point inwards tomorrow.
 */
import { isIP } from "node:net"
import type { AddressPolicy } from "@connect-domain/egress/AddressPolicy.ts"
import { eventTypes } from "@connect-domain/messages/events.ts"

export const longestUrl = 2048

/** What is wrong with the address, as a sentence for whoever entered it; undefined if nothing is. */
export const urlProblem = (text: string, policy: AddressPolicy, mode: "production" | "sandbox"): string | undefined => {
  if (text.length > longestUrl) return `is longer than ${longestUrl} characters`
  const url = URL.parse(text)
  if (url === null || text !== text.trim()) return "is not a URL"
  if (url.protocol !== "https:" && !(url.protocol === "http:" && mode === "sandbox")) return "must begin with https://"
  if (url.username !== "" || url.password !== "") return "must not contain a user name or password"
  if (url.hash !== "") return "must not contain a fragment"
  const host = url.hostname.replace(/^\[|\]$/g, "")
  if (isIP(host) !== 0 && policy.check(host) === "denied") return "points to an address that is not reachable from here"
  if (isIP(host) === 0 && !host.includes(".") && mode !== "sandbox") return "must name a public host"
  return undefined
}

/** What is wrong with the list of events; undefined if nothing is. An empty list means all. */
export const eventsProblem = (events: ReadonlyArray<string>): string | undefined => {
  const unknown = events.find((type) => !(eventTypes as ReadonlyArray<string>).includes(type))
  if (unknown !== undefined) return `knows no event ${JSON.stringify(unknown.slice(0, 60))}; choose from ${eventTypes.join(", ")}`
  return new Set(events).size === events.length ? undefined : "names an event twice"
}
