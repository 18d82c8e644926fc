/**
 * Who takes the money.
 *
 * Owns: the interface to a billing provider, and `none`, the default: an installation that bills nobody.
 * Leaves to `Subscriptions.ts` which plan a tenant is on; a provider never touches quotas, and nothing here reaches the edge.
 */
import { Context, Effect, Layer, Schema } from "effect"

/** No provider is configured, or it can't be reached (`retryable`). */
export class BillingUnavailable extends Schema.TaggedError<BillingUnavailable>()("BillingUnavailable", {
  message: Schema.String,
  retryable: Schema.Boolean
}) {}

export interface Checkout {
  readonly tenant_id: string
  readonly plan: string
  /** Where the provider sends the payer back to; null: the provider's own page. */
  readonly success_url: string | null
  readonly cancel_url: string | null
}

export class BillingProvider extends Context.Service<
  BillingProvider,
  {
    readonly name: string
    /** Whether plans that cost money can be had at all. */
    readonly takesMoney: boolean
    /** Starts a payment and answers the page to send the payer to. Repeating it starts another; the unpaid one lapses. */
    readonly checkout: (checkout: Checkout) => Effect.Effect<{ readonly url: string }, BillingUnavailable>
  }
>()("billing/BillingProvider") {
  static readonly layerNone = Layer.succeed(
    BillingProvider,
    BillingProvider.of({
      name: "none",
      takesMoney: false,
      checkout: () => Effect.fail(new BillingUnavailable({ message: "no billing provider is configured", retryable: false }))
    })
  )
}
