/**
 * The `certificates` bucket: what edges see of our certificates, a copy that Postgres can restore at any time.
 *
 * Owns: putting, deleting, restoring. Leaves to `Certificates`: which there are. Values are sealed under EDGE_KEK already in Postgres, at
 * the same place, so nothing is opened here. Built against: a wiped NATS (restored as soon as the buckets are new), and entries of keys
 * that were destroyed while NATS was away (deleted by the same comparison).
 */

import type { DatabaseError } from "@connect-domain/database/Database.ts"
import { certificates as definition } from "@connect-domain/messages/buckets.ts"
import { Kv } from "@connect-domain/nats/Kv.ts"
import type { NatsUnavailable } from "@connect-domain/nats/Nats.ts"
import { Context, Effect, Layer, Schedule, Stream } from "effect"
import { type Certificate, Certificates } from "./Certificates.ts"
import { LiveEdges } from "./LiveEdges.ts"

const atOnce = 200

export class CertificateBucket extends Context.Service<
  CertificateBucket,
  {
    /** Edges can serve the certificate afterwards. */
    readonly put: (certificate: Certificate) => Effect.Effect<void, NatsUnavailable>
    readonly remove: (ids: ReadonlyArray<string>) => Effect.Effect<void, NatsUnavailable>
    /** Puts what is missing, deletes what should not be there. Gives back how many of each. */
    readonly restore: Effect.Effect<{ readonly put: number; readonly removed: number }, NatsUnavailable | DatabaseError>
  }
>()("certifier/CertificateBucket") {
  static readonly layer = Layer.effect(
    CertificateBucket,
    Effect.gen(function* () {
      const bucket = (yield* Kv).bucket(definition)
      const rows = yield* Certificates

      const put = (certificate: Certificate) => Effect.asVoid(bucket.put(certificate.id, toEntry(certificate)))
      const remove = (ids: ReadonlyArray<string>) =>
        Effect.forEach(ids, (id) => bucket.delete(id).pipe(Effect.catchTag("KeyConflict", () => Effect.void)), {
          concurrency: 16,
          discard: true
        })

      const restore = Effect.gen(function* () {
        // Keys first: what is issued in between is in both or only in the table, never deleted by mistake.
        const there = new Set(yield* bucket.keys)
        const wanted = yield* rows.servable
        const missing = wanted.filter((id) => !there.has(id))
        for (let i = 0; i < missing.length; i += atOnce) {
          yield* Effect.forEach(yield* rows.byIds(missing.slice(i, i + atOnce)), put, { concurrency: 16, discard: true })
        }
        for (const id of wanted) there.delete(id)
        yield* remove([...there])
        return { put: missing.length, removed: there.size }
      })

      return CertificateBucket.of({ put, remove, restore })
    })
  )

  /** Restores the bucket at the start and whenever NATS's buckets were made anew. */
  static readonly restorer = Layer.effectDiscard(
    Effect.gen(function* () {
      const bucket = yield* CertificateBucket
      const edges = yield* LiveEdges
      const restoreNow = bucket.restore.pipe(
        Effect.tapError((error) => Effect.logWarning("certificates could not be restored to their bucket yet", { error: error.message })),
        Effect.retry(Schedule.min([Schedule.exponential("250 millis"), Schedule.spaced("5 seconds")])),
        Effect.tap((done) => (done.put + done.removed > 0 ? Effect.logInfo("certificates restored to their bucket", done) : Effect.void))
      )
      yield* edges.resets.pipe(
        Stream.runForEach(() => restoreNow),
        Effect.forkScoped
      )
    })
  )
}

const toEntry = (certificate: Certificate) => ({
  certificate_id: certificate.id,
  claim_id: certificate.claim_id,
  hostnames: certificate.names,
  chain: certificate.chain,
  sealed_key: certificate.key_sealed ?? "",
  serial: certificate.serial,
  not_before: certificate.not_before.toISOString(),
  not_after: certificate.not_after.toISOString()
})
