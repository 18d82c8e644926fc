/**
 * Which CA serves which environment.
 *
 * Owns: building one authority per directory. Leaves to `acmeDirectories.ts`: which there are; to `AcmeAuthority` and `InternalAuthority`:
 * issuing. `live` and `test` may name the same directory: then they share its account.
 */
import { Config, Context, Effect, Layer, Semaphore } from "effect"
import { Accounts } from "./Accounts.ts"
import { makeAcmeAuthority } from "./AcmeAuthority.ts"
import { type AcmeSession, makeAcmeSession } from "./acme/AcmeSession.ts"
import { egressTransport } from "./acme/egressTransport.ts"
import { acmeDirectories, acmeHttpClient, acmeWeights, type Environment, nameOf, perDirectory } from "./acmeDirectories.ts"
import { Budgets } from "./Budgets.ts"
import type { CertificateAuthority } from "./CertificateAuthority.ts"
import type { Claim } from "./Claim.ts"
import { sharedOut } from "./candidates.ts"
import { ChallengeMemory } from "./challenges/ChallengeMemory.ts"
import { makeInternalAuthority } from "./InternalAuthority.ts"
import { internalDirectory } from "./issuerOrigin.ts"
import { drawFor } from "./planRenewal.ts"
import { VanishedIssuers } from "./VanishedIssuers.ts"
import { countAnswers } from "./watch/countAnswers.ts"

/**
 * Certificate profile to ask for (`tlsserver`, `shortlived` …): one for every CA, or one for each, comma-separated in the order of
 * CD_ACME_DIRECTORY (empty for the CA's own). Default: the CA's.
 */
export const AcmeProfile = Config.String("CD_ACME_PROFILE").pipe(Config.withDefault(""))

/**
 * Which of a CA's chains to serve, when it offers several: the common name of the issuer of the chain's last certificate (`ISRG Root X1`);
 * one for every CA, or one for each, as CD_ACME_PROFILE. Default: the CA's own; that also where none has the name.
 */
export const AcmePreferredChain = Config.String("CD_ACME_PREFERRED_CHAIN").pipe(Config.withDefault(""))

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
    /** The same, in the order for this claim: new names are shared out (`CD_ACME_WEIGHTS`). */
    readonly forClaim: (claim: Pick<Claim, "claim_id" | "environment">) => ReadonlyArray<CertificateAuthority>
    /** Those that speak ACME, for what an operator asks of them. */
    readonly acme: ReadonlyArray<{ readonly name: string; readonly directory: string; readonly session: AcmeSession }>
    readonly sessionOf: (directory: string) => AcmeSession | undefined
  }
>()("certifier/Authorities") {
  static readonly layer = Layer.effect(
    Authorities,
    Effect.gen(function* () {
      const directories = yield* acmeDirectories
      const client = yield* acmeHttpClient
      const profileOf = perDirectory(yield* AcmeProfile, directories.live)
      const chainOf = perDirectory(yield* AcmePreferredChain, directories.live)
      const sessions = new Map<string, AcmeSession>()
      const [accounts, budgets, memory, vanished] = [yield* Accounts, yield* Budgets, yield* ChallengeMemory, yield* VanishedIssuers]
      const newOrders = yield* NewOrders
      const make = (directory: string) =>
        directory === internalDirectory
          ? makeInternalAuthority
          : Effect.map(Semaphore.make(newOrders), (slots) => {
              const session = makeAcmeSession(directory, countAnswers(nameOf(directory), egressTransport(client)))
              sessions.set(directory, session)
              return makeAcmeAuthority({
                name: nameOf(directory),
                directory,
                session,
                profile: profileOf(directory),
                preferredChain: chainOf(directory),
                accounts,
                budgets,
                memory,
                newOrders: slots,
                onForgotten: vanished.look
              })
            })
      const authorities = new Map<string, CertificateAuthority>()
      for (const directory of new Set([...directories.live, ...directories.test])) authorities.set(directory, yield* make(directory))
      const of = (environment: Environment) => directories[environment].map((directory) => authorities.get(directory)!)
      const weights = yield* acmeWeights
      return Authorities.of({
        of,
        forClaim: ({ claim_id, environment }) =>
          environment === "live" ? sharedOut(of(environment), weights, drawFor(claim_id)) : of(environment),
        acme: [...sessions].map(([directory, session]) => ({ name: nameOf(directory), directory, session })),
        sessionOf: (directory) => sessions.get(directory)
      })
    })
  )
}
