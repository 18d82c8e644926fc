/**
 * The proofs that may be used for a claim at a CA, made from the ways that were chosen.
 *
 * Owns: which part gives which answer, remembering how it went. Leaves to `chooseMethods.ts` the choice, to `EdgeAnswers.ts` and
 * `DnsAnswers.ts` the answers. A lasting record (DNS-PERSIST-01) needs none: the CA finds it where it stands.
 */
import type { SealedCredential } from "@connect-domain/messages/record.ts"
import { Context, Effect, Layer } from "effect"
import type { Claim } from "../Claim.ts"
import { ChallengeMemory } from "./ChallengeMemory.ts"
import type { Choice } from "./chooseMethods.ts"
import { DnsAnswers } from "./DnsAnswers.ts"
import { EdgeAnswers } from "./EdgeAnswers.ts"
import type { Method } from "./methods.ts"
import type { Proof, Question } from "./Proof.ts"

export class Proofs extends Context.Service<
  Proofs,
  {
    /** In the order of the choices. */
    readonly of: (
      claim: Pick<Claim, "claim_id" | "fence" | "tenant_id" | "hostname">,
      directory: string,
      choices: ReadonlyArray<Choice>,
      credentials: ReadonlyArray<SealedCredential>
    ) => ReadonlyArray<Proof>
  }
>()("certifier/Proofs") {
  static readonly layer = Layer.effect(
    Proofs,
    Effect.gen(function* () {
      const [memory, edges, dns] = [yield* ChallengeMemory, yield* EdgeAnswers, yield* DnsAnswers]
      return Proofs.of({
        of: (claim, directory, choices, credentials) => {
          const answerBy = (method: Method, question: Question) => {
            switch (method) {
              case "http-01":
              case "tls-alpn-01":
                return edges.offer(claim.hostname, method, question)
              case "dns-01":
                return dns.offer(claim, credentials, question)
              case "dns-persist-01":
                return Effect.succeed({ wasInPlace: Effect.succeed(true) })
            }
          }
          return choices.map(({ method }) => ({
            method,
            answer: (question) => answerBy(method, question),
            ended: (error) =>
              error === undefined
                ? memory.worked(claim.claim_id, directory, method)
                : memory.failed(claim.claim_id, directory, method, error)
          }))
        }
      })
    })
  )
}
