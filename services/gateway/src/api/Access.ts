/**
 * Who may call an endpoint, written where the endpoint is declared. Deny by default: an endpoint without a rule is refused at start.
 *
 * Owns: scopes, access rules, and how a creating call keeps its promise of doing things once. Leaves to `http/serve.ts`: enforcing them.
 */
import { Context } from "effect"

export const scopes = ["connections:read", "connections:write", "apps:admin", "webhooks:write", "usage:read"] as const
export type Scope = (typeof scopes)[number]

export interface AccessRule {
  /** One of these scopes is enough; `any` wants a valid credential only. */
  readonly scopes: ReadonlyArray<Scope> | "any"
  /** May a widget token call it, for the objects that it is bound to? */
  readonly widget: boolean
}

export class Access extends Context.Service<Access, AccessRule>()("gateway/api/Access") {}

export const needs = (...wanted: ReadonlyArray<Scope>): AccessRule => ({ scopes: wanted, widget: false })
export const needsOrWidget = (...wanted: ReadonlyArray<Scope>): AccessRule => ({ scopes: wanted, widget: true })
export const anybody: AccessRule = { scopes: "any", widget: true }

/**
 * A POST that creates honours `Idempotency-Key`.
 * - `here`: its effect is in our own tables; effect and kept answer commit in one transaction.
 * - `elsewhere`: another service has the effect; the new object's id is fixed in the record first, and that service is idempotent by it.
 */
export class Creates extends Context.Service<Creates, "here" | "elsewhere">()("gateway/api/Creates") {}

/** Error codes that this endpoint answers besides the ones that every endpoint has; for the contract. */
export class Refusals extends Context.Service<Refusals, ReadonlyArray<string>>()("gateway/api/Refusals") {}
