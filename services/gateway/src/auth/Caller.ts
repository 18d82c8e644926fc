/** Who is calling, as established by a credential. Everything below this point trusts these fields and nothing in the request. */
import type { Scope } from "../api/Access.ts"

/** The vendor's backend, with an API key. */
export interface KeyCaller {
  readonly kind: "key"
  readonly tenant_id: string
  readonly application_id: string
  readonly key_id: string
  readonly scopes: ReadonlySet<Scope>
  /** A key minted with this one may not live longer. */
  readonly expires_at: Date | null
}

/** An end customer's browser, with a token that a key minted. */
export interface WidgetCaller {
  readonly kind: "widget"
  readonly tenant_id: string
  readonly application_id: string
  /** The key that minted the token: revoking it ends the token. */
  readonly key_id: string
  /** Canonical; the only host name that the token is for. */
  readonly domain: string | undefined
  /** The vendor's id of the end user, whose connections the token is for. */
  readonly sub: string | undefined
  readonly origins: ReadonlyArray<string>
}

export type Caller = KeyCaller | WidgetCaller

/**
 * May the application's DNS credential be used for this caller? A token without `domain` names no host name that the vendor agreed to: its
 * end user could enter `admin.<a zone of the vendor's>`, and the credential would prove it and overwrite what stands there.
 */
export const mayUseCredentials = (caller: Caller): boolean => caller.kind === "key" || caller.domain !== undefined
