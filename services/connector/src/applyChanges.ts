/**
 * The lifecycle's orders to write: taken, carried out, answered.
 *
 * Owns: the mailbox `connector_zone` and the words of its answers. Leaves writing to `ZoneWriter`.
 */
import { explain, type Reason } from "@connect-domain/dns-provider/DnsProvider.ts"
import { applyChange } from "@connect-domain/messages/connector.ts"
import { type ApplyFailure, recordsApplied } from "@connect-domain/messages/lifecycle.ts"
import { handle, Work } from "@connect-domain/nats/Work.ts"
import { Effect, Layer, Metric } from "effect"
import { ZoneWriter } from "./ZoneWriter.ts"

const codes = {
  RateLimited: "rate_limited",
  Unavailable: "unavailable",
  AccessDenied: "access_denied",
  ZoneNotFound: "zone_not_found",
  Conflict: "conflict",
  Unsupported: "unsupported"
} as const

export const toFailure = (reason: Reason): typeof ApplyFailure.Type => ({
  code: codes[reason._tag],
  message: explain(reason),
  retry_after_seconds: reason._tag === "RateLimited" ? reason.retryAfterSeconds : null
})

const writes = Metric.counter("connector_writes_total", {
  description: "orders to write, by provider, purpose and outcome",
  incremental: true
})

export const zoneOrders = Layer.effectDiscard(
  Effect.gen(function* () {
    const work = yield* Work
    const writer = yield* ZoneWriter
    const apply = handle(applyChange, ({ connection_id, version, ...order }, { id }) =>
      Effect.flatMap(writer.write(order), ({ provider, failure }) =>
        Effect.andThen(
          Metric.update(
            Metric.withAttributes(writes, {
              provider: provider ?? "none",
              purpose: order.purpose,
              outcome: failure === null ? "written" : codes[failure._tag]
            }),
            1
          ),
          work.send(
            recordsApplied,
            { connection_id, version, purpose: order.purpose, provider, failure: failure === null ? null : toFailure(failure) },
            { id: `${id}.answer` }
          )
        )
      )
    )
    yield* work.consume("connector_zone", [apply], { concurrency: 32 })
  })
)
