/** Plans, the tenant's subscription, usage per calendar month, and the way to a payment page. */
import { PlanView, readUsage, SubscriptionView } from "@connect-domain/messages/billing.ts"
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema } from "effect/http-api"
import { Access, Creates, needs, Refusals } from "./Access.ts"
import { Name } from "./fields.ts"

const Plan = PlanView.annotate({ identifier: "Plan" })
const Subscription = SubscriptionView.annotate({ identifier: "Subscription" })
const WebUrl = Schema.String.check(
  Schema.makeFilter((text: string) => /^https?:$/.test(URL.parse(text)?.protocol ?? "") || "must be an http(s) URL")
)

export class BillingApi extends HttpApiGroup.make("billing", { topLevel: true }).add(
  HttpApiEndpoint.get("listPlans", "/v1/plans", {
    success: Schema.Struct({ data: Schema.Array(Plan), next_cursor: Schema.Null })
  }).annotate(Access, needs("usage:read")),
  HttpApiEndpoint.get("readSubscription", "/v1/subscription", { success: Subscription }).annotate(Access, needs("usage:read")),
  HttpApiEndpoint.post("createSubscription", "/v1/subscriptions", {
    payload: Schema.Struct({ plan: Name }).annotate({ identifier: "NewSubscription" }),
    success: Subscription.pipe(HttpApiSchema.status(201))
  })
    .annotate(Access, needs("apps:admin"))
    .annotate(Creates, "elsewhere")
    .annotate(Refusals, ["billing_unavailable"]),
  HttpApiEndpoint.get("readUsage", "/v1/usage", {
    query: {
      period: Schema.optionalKey(
        Schema.String.check(Schema.makeFilter((text: string) => /^\d{4}-(0[1-9]|1[0-2])$/.test(text) || "must be a month such as 2030-01"))
      )
    },
    success: readUsage.success.annotate({ identifier: "Usage" })
  }).annotate(Access, needs("usage:read")),
  HttpApiEndpoint.post("startCheckout", "/v1/billing/checkout", {
    payload: Schema.Struct({
      plan: Name,
      success_url: Schema.optionalKey(Schema.NullOr(WebUrl)),
      cancel_url: Schema.optionalKey(Schema.NullOr(WebUrl))
    }).annotate({ identifier: "NewCheckout" }),
    success: Schema.Struct({ url: Schema.String }).annotate({ identifier: "Checkout" }).pipe(HttpApiSchema.status(201))
  })
    .annotate(Access, needs("apps:admin"))
    .annotate(Creates, "elsewhere")
    .annotate(Refusals, ["billing_unavailable"])
) {}
