/**
 * Which of the CAs may issue for each name, for the planner: CAA as the DNS has it now.
 *
 * A way counts as open when CAA allows it, whatever it takes (a credential, a lasting record that must stand for DNS-PERSIST-01). Wildcards are
 * proven in the DNS alone.
 *
 * Owns: asking the connector for every name (as the operator, over NATS) and the CAs' directories for how they call themselves there.
 * Leaves to `findings.ts` and `libs/dns` the rules of CAA. A record that wants one account of ours is taken for a refusal: the planner knows
 * no account. What nobody can look at is taken for no record, and counted.
 */
import { isWildcard } from "@connect-domain/domain/Hostname.ts"
import { type CaaAnswer, lookCaa } from "@connect-domain/messages/connector.ts"
import { Calls } from "@connect-domain/nats/Calls.ts"
import { Effect } from "effect"
import { makeAcmeSession } from "./acme/AcmeSession.ts"
import { egressTransport } from "./acme/egressTransport.ts"
import { acmeHttpClient, nameOf } from "./acmeDirectories.ts"
import { allowedMethods, isEdgeMethod, type Method } from "./challenges/methods.ts"
import { mayIssue } from "./findings.ts"
import { internalDirectory } from "./issuerOrigin.ts"
import type { Permission } from "./planIssuance.ts"

export interface CaaIdentity {
  readonly name: string
  readonly identities: ReadonlyArray<string>
}

/** The CAs of `all` that may issue for the name by one of `methods`. */
export const permittedBy = (
  hostname: string,
  caa: CaaAnswer | undefined,
  all: ReadonlyArray<CaaIdentity>,
  methods: ReadonlyArray<Method>
): ReadonlySet<string> => {
  const open = methods.filter((method) => !isWildcard(hostname) || !isEdgeMethod(method))
  const may = ({ identities }: CaaIdentity) =>
    open.some((method) => mayIssue(hostname, caa, { identities, accountUri: undefined, method }).allowed)
  return new Set(all.filter(may).map(({ name }) => name))
}

const identitiesOf = Effect.fnUntraced(function* (directories: ReadonlyArray<string>) {
  const client = yield* acmeHttpClient
  return yield* Effect.forEach(directories, (directory) =>
    directory === internalDirectory
      ? Effect.succeed({ name: nameOf(directory), identities: [] })
      : Effect.map(makeAcmeSession(directory, egressTransport(client)).directory, ({ meta }) => ({
          name: nameOf(directory),
          identities: meta?.caaIdentities ?? []
        }))
  )
})

/** Looks at every name, 32 at a time. */
export const lookPermissions = Effect.fnUntraced(function* (hostnames: ReadonlyArray<string>, directories: ReadonlyArray<string>) {
  const calls = yield* Calls
  const authorities = yield* identitiesOf(directories)
  const methods = yield* allowedMethods
  let unknown = 0
  const looked = yield* Effect.forEach(
    hostnames,
    (hostname) =>
      calls.request(lookCaa, { hostname }).pipe(
        Effect.orElseSucceed(() => undefined),
        Effect.map((caa) => {
          if (caa === undefined || caa.verdict === "unknown") unknown++
          return [hostname, permittedBy(hostname, caa, authorities, methods)] as const
        })
      ),
    { concurrency: 32 }
  )
  const permitted = new Map(looked)
  const permission: Permission = (hostname) => permitted.get(hostname)
  return { permission, unknown }
})
