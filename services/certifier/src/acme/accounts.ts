/**
 * Accounts at a CA: registration with external account binding, finding one by its key, key change (RFC 8555 §7.3).
 *
 * Owns: the requests. Leaves to `Accounts.ts` of the service: keeping the key sealed, one account per CA, registering anew.
 */
import { Effect } from "effect"
import { type AcmeSession, malformed } from "./AcmeSession.ts"
import { type AccountKey, bindExternalAccount, type ExternalAccount, type Signer, signJws } from "./jws.ts"

/** Who signs requests after registration: the key and the account's URL at the CA. */
export interface Account {
  readonly key: AccountKey
  readonly kid: string
  /** As in `Signer`. */
  readonly reread?: Signer["reread"]
}

export interface Registration {
  /** E-mail addresses without `mailto:`; may be empty. */
  readonly contacts: ReadonlyArray<string>
  readonly externalAccount?: ExternalAccount
}

/** Registers `key`, agreeing to the CA's terms; the account that has this key already is returned as it is (RFC 8555 §7.3.1). */
export const registerAccount = Effect.fn("acme.registerAccount")(function* (
  session: AcmeSession,
  key: AccountKey,
  registration: Registration
) {
  const { newAccount } = yield* session.directory
  const { contacts, externalAccount } = registration
  const payload = {
    termsOfServiceAgreed: true,
    ...(contacts.length === 0 ? {} : { contact: contacts.map((address) => `mailto:${address}`) }),
    ...(externalAccount === undefined ? {} : { externalAccountBinding: bindExternalAccount(externalAccount, key.jwk, newAccount) })
  }
  const response = yield* session.post("newAccount", newAccount, { key }, payload)
  if (response.location === undefined) return yield* malformed("newAccount", "answer has no account URL")
  return { key, kid: response.location } satisfies Account
})

/** The account that has this key, if one does; never makes one (RFC 8555 §7.3.1). */
export const findAccount = Effect.fn("acme.findAccount")(function* (session: AcmeSession, key: AccountKey) {
  const { newAccount } = yield* session.directory
  const response = yield* session.post("newAccount", newAccount, { key }, { onlyReturnExisting: true }).pipe(
    Effect.catchIf(
      (error) => error.reason._tag === "AccountUnknown",
      () => Effect.undefined
    )
  )
  return response?.location === undefined ? undefined : ({ key, kid: response.location } satisfies Account)
})

/** Rolls the account over to `next` (RFC 8555 §7.3.5). Orders under way stay valid. Returns the account with its new key. */
export const changeAccountKey = Effect.fn("acme.changeAccountKey")(function* (session: AcmeSession, account: Account, next: AccountKey) {
  const { keyChange } = yield* session.directory
  if (keyChange === undefined) return yield* malformed("keyChange", "the CA offers no key change")
  const inner = signJws({ key: next }, keyChange, { account: account.kid, oldKey: account.key.jwk })
  yield* session.post("keyChange", keyChange, account, inner)
  return { key: next, kid: account.kid } satisfies Account
})
