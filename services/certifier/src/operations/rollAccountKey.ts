/**
 * A new key for our account at a CA, with no order lost and whatever dies on the way (A10).
 *
 * Owns: the order of steps. 1. The next key is a row before the CA hears of it. 2. Nobody leases a claim, and those under way end: a
 * challenge is answered under the key that the account has when the CA looks (RFC 8555 §8.1). 3. The CA changes the key. 4. The row does.
 * A crash after 1 leaves the account as it was; after 3, `Accounts.reread` finds the next key to be the account's and finishes, in this
 * process or another. The hold is renewed while somebody works under it, however slow the CA is, and ends by itself.
 */
import { Database } from "@connect-domain/database/Database.ts"
import { CallError } from "@connect-domain/nats/Calls.ts"
import { Clock, Effect } from "effect"
import { Accounts } from "../Accounts.ts"
import { Authorities } from "../Authorities.ts"
import { changeAccountKey, findAccount } from "../acme/accounts.ts"

const longestWaitMillis = 75_000
const holdSeconds = 20

const unavailable = (message: string) => new CallError({ code: "unavailable", message })

export const makeRollAccountKey = Effect.gen(function* () {
  const [{ query }, accounts, authorities] = [yield* Database, yield* Accounts, yield* Authorities]

  const release = (directory: string) =>
    query((sql) => sql`update certifier.accounts set rolling_until = null where directory = ${directory}`)

  /** Never succeeds. One that was let go stays let go. */
  const keepHold = (directory: string) =>
    query(
      (sql) => sql`
        update certifier.accounts set rolling_until = now() + make_interval(secs => ${holdSeconds})
        where directory = ${directory} and rolling_until is not null`
    ).pipe(Effect.ignore, Effect.uninterruptible, Effect.delay((holdSeconds * 1000) / 4), Effect.forever)

  /** Until nobody works on anything: who leased a claim before the hold began ends within its order's time, or its lease does. */
  const quiet = Effect.gen(function* () {
    const until = (yield* Clock.currentTimeMillis) + longestWaitMillis
    while ((yield* Clock.currentTimeMillis) < until) {
      const [row] = yield* query<{ busy: boolean }>(
        (sql) => sql`select exists (select 1 from certifier.claims where leased and due_at > now()) as busy`
      )
      if (row?.busy === false) return
      yield* Effect.sleep("100 millis")
    }
    return yield* unavailable("orders under way don't end; nothing was changed: try again")
  })

  return Effect.fn("certifier.rollAccountKey")(function* (ca: string) {
    const found = authorities.acme.find(({ name, directory }) => name === ca || directory === ca)
    if (found === undefined) return yield* new CallError({ code: "not_found", message: `no CA that speaks ACME is called ${ca}` })
    const { directory, session } = found
    const account = yield* accounts.at(directory, session)
    const held = yield* query(
      (sql) => sql`
        update certifier.accounts set rolling_until = now() + make_interval(secs => ${holdSeconds})
        where directory = ${directory} and (rolling_until is null or rolling_until < now()) returning 1`
    )
    if (held.length === 0) return yield* unavailable("the key of this account is being changed already")
    const change = Effect.gen(function* () {
      // Another replica may have changed it since we read ours.
      yield* account.reread
      const next = yield* accounts.nextKey(directory)
      yield* quiet
      // Asked for before and cut off: then the account may have it already.
      const changed = yield* findAccount(session, next)
      if (changed === undefined) {
        yield* changeAccountKey(session, account, next).pipe(
          Effect.catchTag("AcmeError", (error) =>
            // The CA may have done it and the answer was lost.
            Effect.flatMap(findAccount(session, next), (there) => (there === undefined ? Effect.fail(error) : Effect.void))
          )
        )
      }
      yield* accounts.promote(directory, next)
      yield* Effect.logInfo("account key changed", { directory, account: account.kid })
      return { account: account.kid, thumbprint: next.thumbprint }
    })
    return yield* Effect.raceFirst(change, keepHold(directory)).pipe(Effect.ensuring(Effect.ignore(release(directory))))
  })
})
