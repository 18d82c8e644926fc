/**
 * Whether a connection may redirect where somebody wants it to.
 *
 * Owns: the refusals. Leaves to the gateway: the form of a target; to the router: looking again at every request, since a target that is
 * connected now can be gone tomorrow. Built against: a redirect to a name that nobody serves, and two names that send visitors to each other.
 */
import type { Database, DatabaseError } from "@connect-domain/database/Database.ts"
import { isWildcard } from "@connect-domain/domain/Hostname.ts"
import { type EdgeSettings, flagsOf } from "@connect-domain/messages/edge.ts"
import { CallError } from "@connect-domain/nats/Calls.ts"
import { Effect } from "effect"

interface Source {
  readonly hostname: string
  readonly tenant_id: string
  readonly application_id: string
}

const field = "edge.redirect"
const invalid = (message: string) => new CallError({ code: "invalid", message: `${field}: ${message}`, details: [{ field, message }] })

/** The host name that `hostname` is sent to; undefined when there is no such name. */
const targetOf = (hostname: string, redirect: EdgeSettings["redirect"]): string | undefined => {
  const flag = redirect === undefined ? undefined : flagsOf({ redirect }).redirect_to
  if (flag === undefined || flag === false) return undefined
  if (flag.hostname === "www") return hostname.startsWith("www.") ? undefined : `www.${hostname}`
  if (flag.hostname === "apex") return hostname.startsWith("www.") ? hostname.slice(4) : undefined
  return flag.hostname.replace(/:\d+$/, "")
}

const isSibling = (redirect: NonNullable<EdgeSettings["redirect"]>): boolean => {
  const flag = flagsOf({ redirect }).redirect_to
  return flag !== undefined && flag !== false && (flag.hostname === "www" || flag.hostname === "apex")
}

/**
 * Fails with a refusal whose message says what to do; undefined and `false` need no check. Within a transaction the target stays as it is found:
 * of two names that are sent to each other at the same moment one meets a deadlock, decides again and is refused.
 */
export const checkRedirect = (
  db: Database["Service"],
  source: Source,
  redirect: EdgeSettings["redirect"] | null
): Effect.Effect<void, CallError | DatabaseError> =>
  Effect.gen(function* () {
    if (redirect === undefined || redirect === null || redirect === false) return
    const { hostname } = source
    const sibling = isSibling(redirect)
    if (sibling && isWildcard(hostname)) return yield* invalid("a wildcard has no www name: give a host name instead")
    const target = targetOf(hostname, redirect)
    if (target === undefined)
      return yield* invalid(hostname.startsWith("www.") ? `${hostname} is the www name already` : `${hostname} does not begin with www.`)
    if (target === hostname) return yield* invalid("leads to this host name itself")
    const [held] = yield* db.query<{ application_id: string; edge: EdgeSettings }>(
      (sql) => sql`
        select application_id, edge from lifecycle.connections where claimed_hostname = ${target} and tenant_id = ${source.tenant_id} for share`
    )
    if (sibling && held?.application_id !== source.application_id) {
      return yield* new CallError({
        code: "redirect_target_not_connected",
        message: `${target} is not connected in this application: connect it and verify its ownership first, then set the redirect`,
        details: { hostname: target }
      })
    }
    if (targetOf(target, held?.edge.redirect) === hostname) return yield* invalid(`${target} redirects to ${hostname} already`)
  })
