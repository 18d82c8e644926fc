/**
 * Which CA serves which environment.
 *
 * Owns: building one authority per directory. Leaves to `acmeDirectories.ts`: which there are; to `AcmeAuthority` and `InternalAuthority`:
 * issuing. `live` and `test` may name the same directory: then they share its account.
 */
import { Config, Context, Effect, Layer, Option } from "effect"
import { Accounts } from "./Accounts.ts"
import { makeAcmeAuthority } from "./AcmeAuthority.ts"
import { makeAcmeSession } from "./acme/AcmeSession.ts"
import { egressTransport } from "./acme/egressTransport.ts"
import { acmeDirectories, acmeHttpClient, nameOf } from "./acmeDirectories.ts"
import type { CertificateAuthority } from "./CertificateAuthority.ts"
import { Challenges } from "./Challenges.ts"
import { makeInternalAuthority } from "./InternalAuthority.ts"
import { VanishedIssuers } from "./VanishedIssuers.ts"

/** Certificate profile to ask for (`tlsserver`, `shortlived` …). Default: the CA's. */
export const AcmeProfile = Config.option(Config.String("CD_ACME_PROFILE"))

export class Authorities extends Context.Service<
  Authorities,
  {
    readonly of: (environment: "test" | "live") => CertificateAuthority
    /** Each directory once. */
    readonly all: ReadonlyArray<CertificateAuthority>
  }
>()("certifier/Authorities") {
  static readonly layer = Layer.effect(
    Authorities,
    Effect.gen(function* () {
      const { live, test } = yield* acmeDirectories
      const client = yield* acmeHttpClient
      const profile = Option.getOrUndefined(yield* AcmeProfile)
      const [accounts, challenges, vanished] = [yield* Accounts, yield* Challenges, yield* VanishedIssuers]
      const make = (directory: string) =>
        directory === "internal"
          ? makeInternalAuthority
          : Effect.succeed(
              makeAcmeAuthority({
                name: nameOf(directory),
                directory,
                session: makeAcmeSession(directory, egressTransport(client)),
                profile,
                accounts,
                challenges,
                onForgotten: vanished.look
              })
            )
      const liveAuthority = yield* make(live)
      const testAuthority = test === live ? liveAuthority : yield* make(test)
      return Authorities.of({
        of: (environment) => (environment === "live" ? liveAuthority : testAuthority),
        all: test === live ? [liveAuthority] : [liveAuthority, testAuthority]
      })
    })
  )
}
