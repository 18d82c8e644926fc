/**
 * The plans file: what an operator may write in it, and what a mistake in it is called.
 *
 * Owns: the file's schema and its cross-checks. Pure; leaves reading and re-reading to `Plans.ts`.
 * Built against: a typing mistake in a limit's name that silently means "no limit".
 */
import type { PlanView } from "@connect-domain/messages/billing.ts"
import { Result, Schema } from "effect"

const Limit = Schema.NullOr(Schema.Int.check(Schema.isGreaterThanOrEqualTo(0)))

/** Every kind must be written down; null means no limit. Only `connect` and `active_domain` refuse; the others are counted. */
const Limits = Schema.Struct({ connect: Limit, active_domain: Limit, cert: Schema.Null, api_call: Schema.Null })

const Plan = Schema.Struct({
  key: Schema.String.check(Schema.isPattern(/^[a-z][a-z0-9_-]{0,39}$/)),
  name: Schema.NonEmptyString,
  /** Minor units of `currency` per month; null: by agreement, nobody can choose it for themselves. */
  price_minor: Schema.NullOr(Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))),
  currency: Schema.String.check(Schema.isPattern(/^[A-Z]{3}$/)),
  limits: Limits
})
export type Plan = typeof Plan.Type

const PlanFileSchema = Schema.Struct({
  /** The plan of a tenant that has none, or one that is no longer in the file. */
  default: Schema.String,
  /** Where a refused create sends its user. */
  upgrade_url: Schema.String.check(Schema.isPattern(/^https?:\/\/[^\s]+$/)),
  plans: Schema.NonEmptyArray(Plan)
}).check(
  Schema.makeFilter(({ default: fallback, plans }) => {
    const keys = plans.map((plan) => plan.key)
    const twice = keys.find((key, index) => keys.indexOf(key) !== index)
    if (twice !== undefined) return `plan ${twice} is listed twice`
    return keys.includes(fallback) || `default names no plan of the file: ${fallback}`
  })
)
export type PlanFile = typeof PlanFileSchema.Type

const decode = Schema.decodeUnknownResult(Schema.fromJsonString(PlanFileSchema), { errors: "all", onExcessProperty: "error" })

/** The file's content, or one sentence per mistake with the place where it stands. */
export const parsePlanFile = (text: string): Result.Result<PlanFile, string> => Result.mapError(decode(text), (error) => error.message)

/** The plan of that key, or the default one. */
export const planOf = (file: PlanFile, key: string | undefined): Plan =>
  file.plans.find((plan) => plan.key === key) ?? file.plans.find((plan) => plan.key === file.default)!

/** What `billing.reserve` needs to know of the file. */
export const limitsForReserve = (file: PlanFile) => ({
  default: file.default,
  limits: Object.fromEntries(file.plans.map(({ key, limits }) => [key, { connect: limits.connect, active_domain: limits.active_domain }]))
})

export const planView = (plan: Plan): typeof PlanView.Type => plan
