/** Plans, subscription, usage, checkout: billing's, asked for this tenant. */
import { listPlans, readSubscription, readUsage, startCheckout, subscribe } from "@connect-domain/messages/billing.ts"
import { Calls } from "@connect-domain/nats/Calls.ts"
import { Effect } from "effect"
import type { BillingApi } from "../api/billing.ts"
import type { Handlers } from "../http/Endpoint.ts"

/** The calendar month that it is, UTC. */
const currentPeriod = (): string => new Date().toISOString().slice(0, 7)

export const billingHandlers = Effect.gen(function* () {
  const calls = yield* Calls
  const handlers: Handlers<typeof BillingApi> = {
    listPlans: () => Effect.map(calls.request(listPlans, {}), ({ plans }) => ({ data: plans, next_cursor: null })),
    readSubscription: ({ caller }) => calls.request(readSubscription, { tenant_id: caller.tenant_id }),
    createSubscription: ({ caller, body }) => calls.request(subscribe, { tenant_id: caller.tenant_id, plan: body.plan }),
    readUsage: ({ caller, query }) => calls.request(readUsage, { tenant_id: caller.tenant_id, period: query.period ?? currentPeriod() }),
    startCheckout: ({ caller, body }) =>
      calls.request(startCheckout, {
        tenant_id: caller.tenant_id,
        plan: body.plan,
        success_url: body.success_url ?? null,
        cancel_url: body.cancel_url ?? null
      })
  }
  return handlers
})
