/** How often live domains are looked at, and when a drifted one has departed. The other cadences are the product's and not for tuning. */
import { defaultTiming, type Timing } from "@connect-domain/connection/schedule.ts"
import { Config, Schema } from "effect"

const seconds = Schema.Number.check(Schema.isGreaterThan(0))

/** Seconds between looks at a live domain, ± 20 %. Default 900. */
export const LiveCheckSeconds = Config.schema(Schema.NumberFromString.pipe(Schema.decodeTo(seconds)), "CD_LIVE_CHECK_SECONDS").pipe(
  Config.withDefault(defaultTiming.live_look_seconds)
)

/** Seconds after which a drifted domain has departed: its claim is released. Default 2592000 (30 days). */
export const DepartedAfterSeconds = Config.schema(Schema.NumberFromString.pipe(Schema.decodeTo(seconds)), "CD_DEPARTED_AFTER_SECONDS").pipe(
  Config.withDefault(defaultTiming.departed_after_seconds)
)

export const timing: Config.Config<Timing> = Config.all({
  live_look_seconds: LiveCheckSeconds,
  departed_after_seconds: DepartedAfterSeconds
})
