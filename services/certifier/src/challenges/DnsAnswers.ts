/**
 * Answers to DNS-01 (RFC 8555 §8.4): a TXT value written through the connector, and taken away again.
 *
 * Owns: the value, how long somebody waits for name servers to show it, its removal. Leaves to the connector where it is written and how; to
 * `ChallengeTexts.ts` remembering it until it is gone. Removal never holds up a certificate: it runs beside it, and what it does not
 * manage, or a crash prevents, is made good by `reapTexts.ts`.
 */
import { createHash } from "node:crypto"
import { presentChallenge, removeChallenge } from "@connect-domain/messages/connector.ts"
import type { SealedCredential } from "@connect-domain/messages/record.ts"
import { type CallError, Calls } from "@connect-domain/nats/Calls.ts"
import { Context, Effect, Layer, type Scope } from "effect"
import { AcmeError, NotPlaced, Unavailable } from "../acme/AcmeError.ts"
import type { Claim } from "../Claim.ts"
import { ChallengeTexts } from "./ChallengeTexts.ts"
import type { InPlace, Question } from "./Proof.ts"

/** Each call waits 20 s for the name servers; slower ones are looked at again in the next attempt, the value stays meanwhile. */
const looks = 3
/** A record that is not seen yet is asked about again this much later, seconds. */
const slowSeconds = 60

type Answered = Pick<Claim, "claim_id" | "fence" | "tenant_id" | "hostname">

export class DnsAnswers extends Context.Service<
  DnsAnswers,
  {
    /** Returns once every authoritative server shows the value, which stands until the scope closes. */
    readonly offer: (
      claim: Answered,
      credentials: ReadonlyArray<SealedCredential>,
      question: Question
    ) => Effect.Effect<InPlace, AcmeError, Scope.Scope>
  }
>()("certifier/DnsAnswers") {
  static readonly layer = Layer.effect(
    DnsAnswers,
    Effect.gen(function* () {
      const [calls, texts] = [yield* Calls, yield* ChallengeTexts]

      /** `final`: the connector is done with it. Else it may be written after it was taken away, so the reaper looks once more. */
      const takeAway = (claim: Answered, credentials: ReadonlyArray<SealedCredential>, value: string, final: boolean) =>
        Effect.gen(function* () {
          if (!(yield* texts.isOurs(claim, value))) return
          yield* calls.request(removeChallenge, { tenant_id: claim.tenant_id, hostname: claim.hostname, value, credentials })
          if (final) yield* texts.end(claim, value)
        }).pipe(
          Effect.catch((error) => Effect.logInfo("an answer in the DNS is taken away later", { error: error.message })),
          Effect.forkDetach
        )

      const offer: DnsAnswers["Service"]["offer"] = Effect.fnUntraced(function* (claim, credentials, { key }) {
        const { tenant_id, hostname } = claim
        const value = createHash("sha256").update(key).digest("base64url")
        let stays = false
        let final = false
        yield* Effect.acquireRelease(texts.begin(claim, value).pipe(Effect.mapError(notRemembered)), () =>
          Effect.suspend(() => (stays ? Effect.void : takeAway(claim, credentials, value, final)))
        )
        const present = calls.request(presentChallenge, { tenant_id, hostname, value, credentials })
        const written = yield* Effect.retry(present, { times: looks - 1, while: ({ code }) => code === "not_yet" }).pipe(
          Effect.mapError((error) => {
            stays = error.code === "not_yet"
            final = error.code === "invalid"
            return notPlaced(error)
          })
        )
        final = true
        yield* Effect.logInfo("the answer stands in the DNS", { at: written.name, where: written.where, provider: written.provider })
        return { wasInPlace: Effect.succeed(true) }
      })
      return DnsAnswers.of({ offer })
    })
  )
}

const notRemembered = (cause: { readonly message: string }) =>
  new AcmeError({ operation: "answer", reason: new Unavailable({ detail: cause.message }) })

/** `invalid`: a person must act, and the message tells what to do. */
const notPlaced = ({ code, message }: CallError) => {
  const reason =
    code === "invalid"
      ? new NotPlaced({ detail: message })
      : new Unavailable({ detail: message, ...(code === "not_yet" ? { retryAfterSeconds: slowSeconds } : {}) })
  return new AcmeError({ operation: "answer", reason })
}
