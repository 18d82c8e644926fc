/** Everything that billing reads from the environment, to be checked before it starts. The declarations stand in the files of what they configure. */
import { databaseSettings } from "@connect-domain/database/Database.ts"
import { modeSettings } from "@connect-domain/domain/Mode.ts"
import { numberSetting, type Setting, setting, wrongSetting } from "@connect-domain/domain/Setting.ts"
import { natsSettings } from "@connect-domain/nats/connection.ts"
import { telemetrySettings } from "@connect-domain/telemetry/checkSettings.ts"
import { Effect } from "effect"
import { PlansFile, readPlans } from "./Plans.ts"
import { TrafficRetentionDays } from "./Traffic.ts"

const plans = Effect.flatMap(PlansFile, (path) =>
  Effect.catch(readPlans(path), ({ problem }) => wrongSetting("CD_PLANS_FILE", problem.replace(/\s*\n\s*/g, " ")))
)

export const settings: ReadonlyArray<Setting> = [
  ...modeSettings,
  ...databaseSettings,
  ...natsSettings("billing"),
  setting("CD_PLANS_FILE", plans, "the path of a plans file; services/billing/plans.json is an example"),
  numberSetting("CD_TRAFFIC_RETENTION_DAYS", TrafficRetentionDays, { least: 1, most: 36_500, unit: "days" }),
  ...telemetrySettings("billing")
]
