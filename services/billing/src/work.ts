/**
 * The work that billing is sent: creates that happened, calls that were metered, events that mean a certificate.
 *
 * Owns: the mapping from messages to the services of this folder. Each handler is idempotent by an id that the message carries.
 */
import { isUuid } from "@connect-domain/domain/uuidv7.ts"
import { commitConnect, meterApiCalls } from "@connect-domain/messages/billing.ts"
import { connectionEvent } from "@connect-domain/messages/events.ts"
import { handle, Work } from "@connect-domain/nats/Work.ts"
import { Effect } from "effect"
import { firstDay, isPeriod } from "./billingPeriod.ts"
import { certificateEntries } from "./certificateUsage.ts"
import { Ledger } from "./Ledger.ts"
import { Quota } from "./Quota.ts"

export const consumeWork = Effect.gen(function* () {
  const work = yield* Work
  const quota = yield* Quota
  const ledger = yield* Ledger

  const commit = handle(commitConnect, ({ tenant_id, connection_id, created_at }) => quota.commit(tenant_id, connection_id, created_at))
  const meter = handle(meterApiCalls, ({ tenant_id, batch_id, period, count }) =>
    isUuid(tenant_id) && isPeriod(period) && count >= 0
      ? ledger.record([
          { id: batch_id, kind: "api_call", tenant_id, period, quantity: count, occurred_at: `${firstDay(period)}T00:00:00Z` }
        ])
      : Effect.fail(new Error("not a meter batch"))
  )
  const certificates = handle(connectionEvent, (event) => ledger.record(certificateEntries(event, Date.now())))

  yield* work.consume("billing_reservation", [commit], { concurrency: 4 })
  yield* work.consume("billing_meter", [meter], { concurrency: 4 })
  yield* work.consume("billing_events", [certificates], { concurrency: 8 })
})
