/**
 * One authorization of an order made valid, by the first of the proofs that can be put in place (RFC 8555 §7.5).
 *
 * Owns: which proof is used when one can't be, telling the CA and waiting for its word. Leaves to `Proofs.ts`: the answers; to
 * `Ordering.ts`: another order, in another way, after the CA did not find an answer (that spoils the authorization).
 * Built against: a proof that costs a failure at the CA although another one was at hand, an edge's absence counted as the name's fault, and
 * two workers who both tell the CA (one was stopped past its lease) of whom the second takes the CA's refusal for the end.
 */
import { Effect, Result } from "effect"
import { AcmeError, isPolicy, Unavailable } from "../acme/AcmeError.ts"
import type { AcmeSession } from "../acme/AcmeSession.ts"
import type { Account } from "../acme/accounts.ts"
import { keyAuthorization } from "../acme/jws.ts"
import * as orders from "../acme/orders.ts"
import type { Budgets } from "../Budgets.ts"
import type { ChallengeMemory } from "./ChallengeMemory.ts"
import type { Proof } from "./Proof.ts"
import { readOffers } from "./readOffers.ts"

/** A CA that takes longer is asked again later, and the order resumed. */
export const settleMillis = 60_000

export interface Prover {
  readonly directory: string
  readonly session: AcmeSession
  readonly budgets: Budgets["Service"]
  readonly memory: ChallengeMemory["Service"]
}

/** How a name was proven; `before`: by an earlier order, whose authorization the CA still takes (or by this one, before a restart). */
export interface Proved {
  readonly type: string
  readonly validatedAt: Date
  readonly before: boolean
}

/** Makes one authorization valid. Undefined when it was already and the CA does not say how. */
export const prove = Effect.fnUntraced(function* (options: Prover, account: Account, proofs: ReadonlyArray<Proof>, url: string) {
  const { session } = options
  const { value: authorization } = yield* orders.readAuthorization(session, account, url)
  if (authorization.status === "valid") return provedBy(authorization, true)
  if (authorization.status !== "pending") return yield* orders.refusal("authorization", orders.problemOf(authorization))
  const { meta } = yield* session.directory
  yield* options.memory.learn(options.directory, (before) => readOffers(before, authorization, meta, account))
  let reason: AcmeError | undefined
  for (const [proof, challenge] of usable(proofs, authorization)) {
    const outcome = yield* answer(options, account, proof, challenge, url)
    if (outcome._tag === "Proved") return outcome.by
    // Nothing was asked of the CA yet: the next proof costs no more than this one did.
    yield* Effect.logInfo("a challenge can't be answered", { challenge: proof.method, error: outcome.error.message })
    reason ??= outcome.error
  }
  return yield* reason ?? orders.refusal("authorization", noChallenge(authorization))
})

/** The proofs that this authorization takes. One that was answered before a restart is gone on with: a second one would spoil it. */
const usable = (proofs: ReadonlyArray<Proof>, { challenges }: orders.Authorization) => {
  const pairs = proofs.flatMap((proof) => {
    const challenge = challenges.find(({ type }) => type === proof.method)
    return challenge === undefined ? [] : [[proof, challenge] as const]
  })
  const answered = pairs.filter(([, { status }]) => status !== "pending")
  return answered.length > 0 ? answered : pairs
}

/** Puts the answer in place, tells the CA, and waits for its word. */
const answer = (options: Prover, account: Account, proof: Proof, challenge: orders.Challenge, url: string) =>
  Effect.gen(function* () {
    const { session } = options
    const token = challenge.token ?? ""
    const placed = yield* Effect.result(proof.answer({ token, key: keyAuthorization(token, account.key) }))
    if (Result.isFailure(placed)) {
      // An edge, a provider or a name server that is away for a moment says nothing about this way.
      if (placed.failure.reason._tag === "NotPlaced") yield* proof.ended(placed.failure.message)
      return { _tag: "NotInPlace" as const, error: placed.failure }
    }
    const wait = challenge.status === "pending" ? yield* tell(options, account, challenge, url) : undefined
    const settled = yield* orders.awaitSettled(
      "authorization",
      orders.readAuthorization(session, account, url),
      (each) => each.status !== "pending",
      { timeoutMillis: settleMillis, firstWaitSeconds: wait }
    )
    if (settled.status !== "valid") return yield* refused(options, proof, settled, yield* placed.success.wasInPlace)
    yield* proof.ended(undefined)
    const by = provedBy(settled, false) ?? { type: challenge.type, validatedAt: new Date(), before: false }
    return { _tag: "Proved" as const, by }
  }).pipe(Effect.scoped)

/** A valid authorization shows the challenge that made it so (RFC 8555 §7.1.4). */
const provedBy = ({ challenges }: orders.Authorization, before: boolean): Proved | undefined => {
  const valid = challenges.find(({ status }) => status === "valid")
  return valid && { type: valid.type, validatedAt: new Date(valid.validated ?? Date.now()), before }
}

/** The CA refuses to hear it twice: a worker that was stopped past its lease may have told it the moment before. */
const tell = ({ session }: Prover, account: Account, challenge: orders.Challenge, url: string) =>
  orders.answerChallenge(session, account, challenge).pipe(
    Effect.catchIf(
      ({ reason }) => reason._tag === "Refused",
      (error) =>
        Effect.flatMap(orders.readAuthorization(session, account, url), ({ value }) => {
          const now = value.challenges.find((each) => each.url === challenge.url)
          return value.status === "pending" && now?.status === "pending" ? Effect.fail(error) : Effect.undefined
        })
    )
  )

const refused = Effect.fnUntraced(function* (
  { budgets, directory }: Prover,
  proof: Proof,
  settled: orders.Authorization,
  wasInPlace: boolean
) {
  yield* Effect.ignore(budgets.countFailure(directory, settled.identifier.value))
  const problem = orders.problemOf(settled)
  if (!wasInPlace) return yield* edgesFailed(problem.detail)
  const error = orders.refusal("authorization", problem, proof.method)
  if (!isPolicy(error.reason)) yield* proof.ended(`${problem.type}: ${problem.detail}`)
  return yield* error
})

/** An edge was late or died: nobody's fault outside, but it counted against the name at the CA, so not at once again. */
const edgesFailed = (detail: string) =>
  new AcmeError({
    operation: "authorization",
    reason: new Unavailable({ detail: `an edge did not answer: ${detail}`, retryAfterSeconds: 60 })
  })

const noChallenge = (authorization: orders.Authorization) =>
  orders.problemFor(authorization, "the certificate authority offers no challenge that we can answer for this name")
