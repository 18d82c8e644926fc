/**
 * What a provider declares about itself: one value per provider folder, which drives the registry, the credential form, the list that the
 * API shows, and the docs.
 *
 * Owns: the shape. Leaves to each provider its content, to `ChangePlan` what is safe. `Reach` is all a provider gets of the outside: it
 * opens no socket of its own, so no provider can leave the address policy.
 */
import type { Socket } from "node:net"
import type { EgressError } from "@connect-domain/egress/EgressError.ts"
import type { Answer, RequestOptions } from "@connect-domain/egress/HttpClient.ts"
import type { Effect, Result, Scope } from "effect"
import type { DnsProvider } from "./DnsProvider.ts"

export type CredentialField = {
  readonly name: string
  readonly label: string
  readonly secret: boolean
  readonly required: boolean
  readonly example?: string
}

export type Capabilities = {
  /** All changes of a plan, or none. */
  readonly atomicApply: boolean
  /** The provider itself refuses a change when the set is not as expected; otherwise it is read once more just before. */
  readonly conditionalApply: boolean
  /** ALIAS, ANAME or CNAME flattening at a zone's apex. */
  readonly apexAlias: boolean
  readonly wildcard: boolean
  readonly caa: boolean
}

/** How a provider reaches the outside: checked addresses only, bounded in time and size. */
export type Reach = {
  readonly request: (url: string | URL, options?: RequestOptions) => Effect.Effect<Answer, EgressError>
  /** A plain TCP connection, closed with the scope. */
  readonly connect: (host: string, port: number) => Effect.Effect<Socket, EgressError, Scope.Scope>
}

export type Descriptor = {
  readonly key: string
  readonly name: string
  readonly credentialFields: ReadonlyArray<CredentialField>
  readonly capabilities: Capabilities
  /** Markdown for the person who makes the credential: where to click, which rights and no more. */
  readonly guide: string
  /** SVG, as a data URL; null when the provider's licence does not allow showing it. */
  readonly logo: string | null
  /** Name servers' names that show this provider to be in charge of a zone. Empty: it can't be told from outside. */
  readonly nameServers: ReadonlyArray<RegExp>
  /** `token` is what the API's caller gave: a string or an object. The failure is a sentence that repeats no secret. */
  readonly make: (token: unknown, reach: Reach) => Result.Result<(typeof DnsProvider)["Service"], string>
}
