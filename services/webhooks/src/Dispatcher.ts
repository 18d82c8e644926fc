/**
 * When and how much is sent: each endpoint on its own, so that one that hangs delays no other.
 *
 * Owns: one worker per endpoint with something due, how many requests run at once, sleeping to the next due row. Leaves claims and
 * results to `Deliveries.ts`, the request to `deliver.ts`.
 * Built against: an endpoint that takes five seconds for each of ten thousand rows (its worker claims few at a time, and failing endpoints
 * have slots of their own), and a wake-up that is lost between a worker's last look and its end.
 */
import type { DatabaseError } from "@connect-domain/database/Database.ts"
import type { HttpClient } from "@connect-domain/egress/HttpClient.ts"
import { Cause, Context, Duration, Effect, FiberSet, Layer, Metric, Queue, Semaphore } from "effect"
import { type Claim, Deliveries } from "./Deliveries.ts"
import { deliver } from "./deliver.ts"
import { judge } from "./retrySchedule.ts"
import type { Secrets } from "./Secrets.ts"

/** Batches that run at the same time in this process; a batch has at most eight requests, of a failing endpoint two. */
const slots = { healthy: 128, failing: 64 }
/** The longest sleep: rows of a replica that died come due without anybody to wake us. */
const longestSleep = Duration.toMillis("60 seconds")
/** Between two looks at what is due, so that a burst of results is one look. New events do not wait for it. */
const shortestSleep = 100

/** Attempts by outcome: delivered, retry, exhausted, gone. */
const attempts = Metric.counter("webhook_attempts_total", { description: "webhook attempts by outcome", incremental: true })
/** How late the latest due row is; grows when sending can't keep up. */
const lateness = Metric.gauge("webhook_late_seconds", { description: "age of the longest-due webhook delivery" })

export class Dispatcher extends Context.Service<
  Dispatcher,
  {
    /** This endpoint has something due: starts sending at once. */
    readonly wake: (endpoint: string, failing: boolean) => Effect.Effect<void>
    /** Something may be due somewhere: looks soon. */
    readonly look: Effect.Effect<void>
    /** Sends one claim and keeps the result. */
    readonly attempt: (claim: Claim) => Effect.Effect<void>
  }
>()("webhooks/Dispatcher") {
  static readonly layer = Layer.effect(
    Dispatcher,
    Effect.gen(function* () {
      const deliveries = yield* Deliveries
      const context = yield* Effect.context<Deliveries | HttpClient | Secrets>()
      const workers = yield* FiberSet.make<void, never>()
      const healthy = yield* Semaphore.make(slots.healthy)
      const failing = yield* Semaphore.make(slots.failing)
      const looks = yield* Queue.sliding<void>(1)
      /** Endpoints with a worker; true when something came due since it last looked. */
      const running = new Map<string, boolean>()

      const attempt = (claim: Claim) => attemptOne(claim).pipe(Effect.provideContext(context))

      /** Batches until nothing is due. The slot is taken for each batch: a long backlog takes its turn with the others. */
      const work = Effect.fnUntraced(function* (endpoint: string, knownFailing: boolean) {
        let isFailing = knownFailing
        while (true) {
          running.set(endpoint, false)
          const claims = yield* Semaphore.withPermit(
            isFailing ? failing : healthy,
            Effect.tap(deliveries.claim(endpoint), (batch) => Effect.forEach(batch, attempt, { concurrency: "unbounded", discard: true }))
          )
          isFailing = claims[0]?.failing ?? isFailing
          if (claims.length === 0 && running.get(endpoint) === false) break // nothing may be awaited between this and the next line
        }
        running.delete(endpoint)
      })

      const start = (endpoint: string, isFailing: boolean) =>
        Effect.suspend(() => {
          const known = running.has(endpoint)
          running.set(endpoint, true)
          if (known) return Effect.void
          const worker = work(endpoint, isFailing).pipe(
            Effect.catchCause((cause) =>
              Effect.andThen(
                Effect.sync(() => running.delete(endpoint)),
                logUnlessInterrupted(cause)
              )
            ),
            Effect.andThen(Queue.offer(looks, undefined))
          )
          return Effect.asVoid(FiberSet.run(workers, Effect.asVoid(worker)))
        })

      yield* Effect.forkScoped(schedule(deliveries, looks, start))
      return Dispatcher.of({ wake: start, look: Effect.asVoid(Queue.offer(looks, undefined)), attempt })
    })
  )
}

const attemptOne = Effect.fn("webhooks.attempt")(
  function* (claim: Claim) {
    const sentAt = new Date()
    const result = yield* deliver(claim, sentAt)
    const verdict = judge(result, claim.step, Date.now(), Math.random())
    const kept = yield* (yield* Deliveries).settle(claim, sentAt, result, verdict)
    yield* Metric.update(Metric.withAttributes(attempts, { outcome: verdict.kind }), 1)
    if (!kept) yield* Effect.logInfo("a webhook's result came after its lease", { delivery: claim.id })
    if (verdict.kind === "gone" || verdict.kind === "exhausted") {
      yield* Effect.logWarning(verdict.kind === "gone" ? "webhook endpoint is gone" : "webhook delivery given up", {
        endpoint: claim.endpoint_id,
        delivery: claim.id
      })
    }
  },
  Effect.catchTag("DatabaseError", (error) => Effect.logWarning("a webhook's result is not kept; it is sent again", error.message))
)

/** Looks, starts what is due, sleeps until the next row is due or somebody pokes. */
const schedule = (
  deliveries: Deliveries["Service"],
  looks: Queue.Queue<void>,
  start: (endpoint: string, isFailing: boolean) => Effect.Effect<void>
) =>
  Effect.gen(function* () {
    const due = yield* deliveries.due
    yield* Metric.update(lateness, due.reduce((latest, one) => Math.max(latest, -one.wait), 0) / 1_000)
    yield* Effect.forEach(
      due.filter((one) => one.wait <= 0),
      (one) => start(one.endpoint_id, one.failing),
      { discard: true }
    )
    return due.reduce((shortest, one) => (one.wait > 0 ? Math.min(shortest, one.wait) : shortest), longestSleep)
  }).pipe(
    Effect.catchCause((cause) => Effect.as(logUnlessInterrupted(cause), 2_000)),
    Effect.flatMap((wait) => Effect.timeoutOption(Queue.take(looks), wait)),
    Effect.andThen(Effect.sleep(shortestSleep)),
    Effect.forever
  )

/** Rows stay claimed until their lease ends, and come due again by themselves. */
const logUnlessInterrupted = (cause: Cause.Cause<DatabaseError>): Effect.Effect<void> => {
  if (Cause.hasInterruptsOnly(cause)) return Effect.failCause(cause as Cause.Cause<never>)
  const known = cause.reasons.find(Cause.isFailReason)?.error
  return known === undefined
    ? Effect.logError("a webhook worker failed", cause)
    : Effect.logWarning("webhook deliveries wait for the database", known.message)
}
