/**
 * Our account at each CA: one key per directory, sealed under CD_ACME_KEK, registered when first needed.
 *
 * Owns: the table `certifier.accounts`, the opened keys in memory. Leaves to `acme/accounts.ts`: the requests.
 * Built against: two certifiers registering two accounts (the key is a row before it is registered, and a CA gives the same account to
 * the same key), and a test CA that forgets its accounts: the same key is registered again.
 */
import { Database, type DatabaseError } from "@connect-domain/database/Database.ts"
import { keyRing } from "@connect-domain/secrets/KeyRing.ts"
import { makeVault, type Place } from "@connect-domain/secrets/Vault.ts"
import { Config, Context, Effect, Layer, Redacted, Semaphore } from "effect"
import type { AcmeError } from "./acme/AcmeError.ts"
import type { AcmeSession } from "./acme/AcmeSession.ts"
import { type Account, findAccount, registerAccount } from "./acme/accounts.ts"
import { type AccountKey, type ExternalAccount, generateKeyPem, readAccountKey } from "./acme/jws.ts"
import { acmeDirectories } from "./acmeDirectories.ts"

/** E-mail addresses, separated by commas, that the CA may write to about the account. Default: none. */
export const AcmeContact = Config.String("CD_ACME_CONTACT").pipe(Config.withDefault(""))

/**
 * External account binding, for CAs that want one: the key ids, comma-separated in the order of CD_ACME_DIRECTORY (empty for a CA that
 * wants none) …
 */
export const AcmeEabKid = Config.String("CD_ACME_EAB_KID").pipe(Config.withDefault(""))
/** … and the HMAC keys in the same order, base64url, both as the CAs hand them out. */
export const AcmeEabHmacKey = Config.Redacted("CD_ACME_EAB_HMAC_KEY").pipe(Config.withDefault(Redacted.make("")))

const externalAccounts = Effect.gen(function* () {
  const { live } = yield* acmeDirectories
  const kids = (yield* AcmeEabKid).split(",")
  const hmacKeys = Redacted.value(yield* AcmeEabHmacKey).split(",")
  return new Map<string, ExternalAccount>(
    live.flatMap((directory, index) => {
      const [kid, hmacKey] = [kids[index]?.trim(), hmacKeys[index]?.trim()]
      return kid && hmacKey ? [[directory, { kid, hmacKey }] as const] : []
    })
  )
})

const placeOf = (directory: string): Place => ({ tenant: "certifier", table: "accounts", column: "key", row: directory })

/** Its key follows what other processes make of it. */
export interface HeldAccount extends Account {
  readonly reread: Effect.Effect<boolean>
}

export class Accounts extends Context.Service<
  Accounts,
  {
    /** The account at the session's CA, registered if need be. */
    readonly at: (directory: string, session: AcmeSession) => Effect.Effect<HeldAccount, AcmeError | DatabaseError>
    /** The CA said that it does not know this account: the next `at` registers anew. */
    readonly forget: (directory: string, account: Account) => Effect.Effect<void, DatabaseError>
    /** The key that the account shall get, kept before the CA hears of it; the same one until it is promoted. */
    readonly nextKey: (directory: string) => Effect.Effect<AccountKey, DatabaseError>
    /** The CA has changed the account's key to this one. Idempotent. */
    readonly promote: (directory: string, next: AccountKey) => Effect.Effect<void, DatabaseError>
  }
>()("certifier/Accounts") {
  static readonly layer = Layer.effect(
    Accounts,
    Effect.gen(function* () {
      const { query } = yield* Database
      const vault = makeVault(yield* keyRing("CD_ACME_KEK"))
      const contacts = (yield* AcmeContact)
        .split(",")
        .map((address) => address.trim().replace(/^mailto:/i, ""))
        .filter((address) => address !== "")
      const external = yield* externalAccounts
      const registered = new Map<string, { current: Account }>()
      const oneAtATime = yield* Semaphore.make(1)

      const open = (directory: string, sealed: string) =>
        Effect.map(Effect.orDie(Effect.fromResult(vault.openText(sealed, placeOf(directory)))), readAccountKey)

      const rowOf = Effect.fnUntraced(function* (directory: string) {
        const [row] = yield* query<{ key_sealed: string; next_key_sealed: string | null; kid: string | null }>(
          (sql) => sql`select key_sealed, next_key_sealed, kid from certifier.accounts where directory = ${directory}`
        )
        return row!
      })

      const keyOf = Effect.fnUntraced(function* (directory: string) {
        const sealed = vault.seal(generateKeyPem(), placeOf(directory))
        yield* query(
          (sql) => sql`insert into certifier.accounts (directory, key_sealed) values (${directory}, ${sealed}) on conflict do nothing`
        )
        const row = yield* rowOf(directory)
        return { key: yield* open(directory, row.key_sealed), kid: row.kid }
      })

      const nextKey = Effect.fnUntraced(function* (directory: string) {
        const sealed = vault.seal(generateKeyPem(), placeOf(directory))
        yield* query(
          (sql) => sql`update certifier.accounts set next_key_sealed = coalesce(next_key_sealed, ${sealed}) where directory = ${directory}`
        )
        return yield* open(directory, (yield* rowOf(directory)).next_key_sealed!)
      })

      const promote = Effect.fnUntraced(function* (directory: string, next: AccountKey) {
        yield* query(
          (sql) => sql`
            update certifier.accounts set key_sealed = next_key_sealed, next_key_sealed = null
            where directory = ${directory} and next_key_sealed is not null`
        )
        const entry = registered.get(directory)
        if (entry !== undefined) entry.current = { key: next, kid: entry.current.kid }
      })

      /** True: the entry holds another key than before. */
      const reread = (directory: string, session: AcmeSession, entry: { current: Account }) =>
        Effect.gen(function* () {
          const row = yield* rowOf(directory)
          const key = yield* open(directory, row.key_sealed)
          const before = entry.current.key.thumbprint
          if (key.thumbprint !== before) entry.current = { key, kid: entry.current.kid }
          else if (row.next_key_sealed !== null) {
            // Whoever changed the key died before it could say so.
            const next = yield* open(directory, row.next_key_sealed)
            if ((yield* findAccount(session, next))?.kid === entry.current.kid) yield* promote(directory, next)
          }
          return entry.current.key.thumbprint !== before
        }).pipe(
          Effect.tapError((error) => Effect.logWarning("the account's key can't be read again", { directory, error: error.message })),
          Effect.orElseSucceed(() => false)
        )

      /** What callers hold: follows the key as it changes. */
      const follow = (directory: string, session: AcmeSession, entry: { current: Account }): HeldAccount => ({
        get key() {
          return entry.current.key
        },
        get kid() {
          return entry.current.kid
        },
        reread: Effect.suspend(() => reread(directory, session, entry))
      })

      const register = Effect.fnUntraced(function* (directory: string, session: AcmeSession) {
        const known = registered.get(directory)
        if (known !== undefined) return follow(directory, session, known)
        const { key, kid } = yield* keyOf(directory)
        const externalAccount = external.get(directory)
        const account =
          kid === null ? yield* registerAccount(session, key, { contacts, ...(externalAccount && { externalAccount }) }) : { key, kid }
        if (kid === null) {
          yield* query(
            (sql) => sql`update certifier.accounts set kid = ${account.kid}, registered_at = now() where directory = ${directory}`
          )
          yield* Effect.logInfo("registered an account", { directory, account: account.kid })
        }
        const entry = { current: account }
        registered.set(directory, entry)
        return follow(directory, session, entry)
      })

      return Accounts.of({
        at: (directory, session) => {
          const known = registered.get(directory)
          return known === undefined
            ? Semaphore.withPermit(oneAtATime, register(directory, session))
            : Effect.succeed(follow(directory, session, known))
        },
        forget: (directory, account) =>
          Effect.gen(function* () {
            if (registered.get(directory)?.current.kid === account.kid) registered.delete(directory)
            yield* query((sql) => sql`update certifier.accounts set kid = null where directory = ${directory} and kid = ${account.kid}`)
          }),
        nextKey,
        promote
      })
    })
  )
}
