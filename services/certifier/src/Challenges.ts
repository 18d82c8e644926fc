/**
 * HTTP-01 answers, from the CA's token to every edge (RFC 8555 §8.3).
 *
 * Owns: entries of the `challenges` bucket and their life: put, waited for, deleted when the authorization has ended. Leaves to the
 * routers: answering. Built against: the CA asking before an edge knows, and tokens that stay behind a crash (each expires by itself).
 */
import { challenges } from "@connect-domain/messages/buckets.ts"
import { Kv } from "@connect-domain/nats/Kv.ts"
import { Context, Effect, Layer, type Scope } from "effect"
import { AcmeError, Unavailable } from "./acme/AcmeError.ts"
import { LiveEdges } from "./LiveEdges.ts"

export interface Offer {
  readonly hostname: string
  readonly token: string
  /** The key authorization: what the edge answers. */
  readonly key: string
}

/** Longer than any CA takes to look; the entry is deleted before that, unless we crash. */
const ttlSeconds = 1_800

export interface Offered {
  /** Asked after the CA failed to see the answer: false when that may have been our edges' doing, not the customer's DNS. */
  readonly wasInPlace: Effect.Effect<boolean>
}

export class Challenges extends Context.Service<
  Challenges,
  {
    /** Puts the answer in place at every connected edge, until the scope closes. Fails when there is no edge to answer. */
    readonly offer: (offer: Offer) => Effect.Effect<Offered, AcmeError, Scope.Scope>
  }
>()("certifier/Challenges") {
  static readonly layer = Layer.effect(
    Challenges,
    Effect.gen(function* () {
      const bucket = (yield* Kv).bucket(challenges)
      const edges = yield* LiveEdges
      const unavailable = (detail: string) => new AcmeError({ operation: "challenge", reason: new Unavailable({ detail }) })
      return Challenges.of({
        offer: ({ hostname, token, key }) =>
          Effect.gen(function* () {
            const before = yield* edges.connected
            // Without an edge the CA's look can only fail, and failures count against the name.
            if (before.length === 0) return yield* unavailable("no edge is connected")
            const revision = yield* Effect.acquireRelease(
              bucket
                .put(token, { token, hostname, key_authorization: key }, { ttlSeconds })
                .pipe(Effect.mapError((error) => unavailable(error.message))),
              () => Effect.ignore(bucket.delete(token))
            )
            const everywhere = yield* edges.awaitChallenges(revision)
            if (!everywhere) yield* Effect.logWarning("not every edge reported the challenge in time", { hostname, revision })
            const wasInPlace = Effect.map(edges.connected, (after) => everywhere && before.every((id) => after.includes(id)))
            return { wasInPlace }
          })
      })
    })
  )
}
