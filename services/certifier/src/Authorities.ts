/**
 * Which CA serves which environment.
 *
 * Owns: building one authority per directory. Leaves to `acmeDirectories.ts`: which there are; to `AcmeAuthority` and `InternalAuthority`:
 * issuing. `live` and `test` may name the same directory: then they share its account.
 */
import { Config, Context, Effect, Layer, Option, Semaphore } from "effect"
import { Accounts } from "./Accounts.ts"
import { makeAcmeAuthority } from "./AcmeAuthority.ts"
import { makeAcmeSession } from "./acme/AcmeSession.ts"
import { egressTransport } from "./acme/egressTransport.ts"
import { acmeDirectories, acmeHttpClient, type Environment, nameOf } from "./acmeDirectories.ts"
import { Budgets } from "./Budgets.ts"
import type { CertificateAuthority } from "./CertificateAuthority.ts"
import { Challenges } from "./Challenges.ts"
import { makeInternalAuthority } from "./InternalAuthority.ts"
import { VanishedIssuers } from "./VanishedIssuers.ts"

/** Certificate profile to ask for (`tlsserver`, `shortlived` …). Default: the CA's. */
export const AcmeProfile = Config.option(Config.String("CD_ACME_PROFILE"))

/**
 * How many orders one certifier places at one CA at a time. A test CA that can't take two at once (Pebble 2.10 deadlocks: a new order's
 * authorization is locked while all authorizations are searched) wants 1.
 */
export const NewOrders = Config.Int("CD_ACME_NEW_ORDERS").pipe(Config.withDefault(16))

export class Authorities extends Context.Service<
  Authorities,
  {
    /** In order of preference, at least one. */
    readonly of: (environment: Environment) => ReadonlyArray<CertificateAuthority>
  }
>()("certifier/Authorities") {
  static readonly layer = Layer.effect(
    Authorities,
    Effect.gen(function* () {
      const directories = yield* acmeDirectories
      const client = yield* acmeHttpClient
      const profile = Option.getOrUndefined(yield* AcmeProfile)
      const [accounts, budgets, challenges, vanished] = [yield* Accounts, yield* Budgets, yield* Challenges, yield* VanishedIssuers]
      const newOrders = yield* NewOrders
      const make = (directory: string) =>
        directory === "internal"
          ? makeInternalAuthority
          : Effect.map(Semaphore.make(newOrders), (slots) =>
              makeAcmeAuthority({
                name: nameOf(directory),
                directory,
                session: makeAcmeSession(directory, egressTransport(client)),
                profile,
                accounts,
                budgets,
                challenges,
                newOrders: slots,
                onForgotten: vanished.look
              })
            )
      const authorities = new Map<string, CertificateAuthority>()
      for (const directory of new Set([...directories.live, ...directories.test])) authorities.set(directory, yield* make(directory))
      return Authorities.of({ of: (environment) => directories[environment].map((directory) => authorities.get(directory)!) })
    })
  )
}
