/**
 * Answers that the routers give a CA: HTTP-01 (RFC 8555 §8.3) and TLS-ALPN-01 (RFC 8737), from the CA's token to every edge.
 *
 * Owns: entries of the `challenges` bucket and their life: put, waited for, deleted when the authorization has ended. Leaves to the
 * routers: answering. Built against: the CA asking before an edge knows, and tokens that stay behind a crash (each expires by itself).
 */
import { type ChallengeEntry, challenges } from "@connect-domain/messages/buckets.ts"
import { Kv } from "@connect-domain/nats/Kv.ts"
import { keyRing } from "@connect-domain/secrets/KeyRing.ts"
import { makeVault } from "@connect-domain/secrets/Vault.ts"
import { Context, Effect, Layer, type Scope } from "effect"
import { AcmeError, Unavailable } from "../acme/AcmeError.ts"
import { LiveEdges } from "../LiveEdges.ts"
import { makeAlpnCertificate } from "./alpnCertificate.ts"
import type { InPlace, Question } from "./Proof.ts"

/** Longer than any CA takes to look; the entry is deleted before that, unless we crash. */
const ttlSeconds = 1_800

export class EdgeAnswers extends Context.Service<
  EdgeAnswers,
  {
    /** Puts the answer in place at every connected edge, until the scope closes. Fails when there is no edge to answer. */
    readonly offer: (
      hostname: string,
      type: "http-01" | "tls-alpn-01",
      question: Question
    ) => Effect.Effect<InPlace, AcmeError, Scope.Scope>
  }
>()("certifier/EdgeAnswers") {
  static readonly layer = Layer.effect(
    EdgeAnswers,
    Effect.gen(function* () {
      const bucket = (yield* Kv).bucket(challenges)
      const edges = yield* LiveEdges
      const vault = makeVault(yield* keyRing("EDGE_KEK"))
      const unavailable = (detail: string) => new AcmeError({ operation: "answer", reason: new Unavailable({ detail }) })

      const entryFor = Effect.fnUntraced(function* (hostname: string, type: "http-01" | "tls-alpn-01", { token, key }: Question) {
        const entry: ChallengeEntry = { token, hostname, key_authorization: key }
        if (type === "http-01") return entry
        const { certificate, keyPem } = yield* makeAlpnCertificate(hostname, key)
        const sealed_key = vault.seal(keyPem, { tenant: hostname, table: "challenges", column: "key", row: token })
        return { ...entry, type, certificate, sealed_key } satisfies ChallengeEntry
      })

      return EdgeAnswers.of({
        offer: (hostname, type, question) =>
          Effect.gen(function* () {
            const before = yield* edges.connected
            // Without an edge the CA's look can only fail, and failures count against the name.
            if (before.length === 0) return yield* unavailable("no edge is connected")
            const { token } = question
            const entry = yield* entryFor(hostname, type, question)
            const revision = yield* Effect.acquireRelease(
              bucket.put(token, entry, { ttlSeconds }).pipe(Effect.mapError((error) => unavailable(error.message))),
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
