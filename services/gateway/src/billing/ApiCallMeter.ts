/**
 * How many API calls each tenant made, told to billing every few seconds.
 *
 * Owns: the counters of this process and their batches. A batch keeps its id until it is sent, so it counts once; what a killed process
 * had not sent is lost: calls are counted, never refused.
 */
import { uuidv7 } from "@connect-domain/domain/uuidv7.ts"
import { meterApiCalls } from "@connect-domain/messages/billing.ts"
import { Work } from "@connect-domain/nats/Work.ts"
import { Context, Effect, Layer, Schedule } from "effect"

interface Batch {
  readonly tenant_id: string
  readonly batch_id: string
  readonly period: string
  readonly count: number
}

export class ApiCallMeter extends Context.Service<ApiCallMeter, { readonly count: (tenantId: string) => void }>()("gateway/ApiCallMeter") {
  static readonly layer = Layer.effect(
    ApiCallMeter,
    Effect.gen(function* () {
      const work = yield* Work
      const counts = new Map<string, number>()
      let unsent: ReadonlyArray<Batch> = []
      const flush = Effect.suspend(() => {
        const period = new Date().toISOString().slice(0, 7)
        const fresh = [...counts].map(([tenant_id, count]) => ({ tenant_id, batch_id: uuidv7(), period, count }))
        counts.clear()
        const batches = [...unsent, ...fresh]
        unsent = batches
        return Effect.forEach(batches, (batch) =>
          Effect.tap(work.send(meterApiCalls, batch, { id: batch.batch_id }), () =>
            Effect.sync(() => {
              unsent = unsent.filter((other) => other !== batch)
            })
          )
        ).pipe(Effect.ignore)
      })
      yield* Effect.addFinalizer(() => Effect.ignore(Effect.timeout(flush, "1 second")))
      yield* Effect.forkScoped(flush.pipe(Effect.repeat(Schedule.spaced("5 seconds"))))
      return ApiCallMeter.of({ count: (tenantId) => void counts.set(tenantId, (counts.get(tenantId) ?? 0) + 1) })
    })
  )
}
