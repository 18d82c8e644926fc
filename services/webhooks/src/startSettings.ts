/** Everything that the webhooks service reads from the environment, to be checked before it starts. The declarations stand in the files of what they configure. */
import { databaseSettings } from "@connect-domain/database/Database.ts"
import { modeSettings } from "@connect-domain/domain/Mode.ts"
import { checked, numberSetting, type Setting, setting } from "@connect-domain/domain/Setting.ts"
import { networkAllowSettings } from "@connect-domain/egress/AddressPolicy.ts"
import { natsSettings } from "@connect-domain/nats/connection.ts"
import { keyRingSettings } from "@connect-domain/secrets/KeyRing.ts"
import { telemetrySettings } from "@connect-domain/telemetry/checkSettings.ts"
import { Duration } from "effect"
import { DisableAfterDays } from "./Deliveries.ts"
import { RotationOverlap } from "./Secrets.ts"

const longestOverlap = Duration.days(365)

export const settings: ReadonlyArray<Setting> = [
  ...modeSettings,
  ...databaseSettings,
  ...natsSettings("webhooks"),
  ...keyRingSettings("WEBHOOK_KEK"),
  ...networkAllowSettings,
  numberSetting("CD_WEBHOOK_DISABLE_AFTER_DAYS", DisableAfterDays, { least: 1, most: 3_650, unit: "days" }),
  setting(
    "CD_WEBHOOK_ROTATION_OVERLAP",
    checked("CD_WEBHOOK_ROTATION_OVERLAP", RotationOverlap, (overlap) =>
      Duration.toMillis(overlap) >= 0 && Duration.isLessThanOrEqualTo(overlap, longestOverlap) ? undefined : "is negative or too long"
    ),
    'a duration up to a year such as "24 hours"'
  ),
  ...telemetrySettings("webhooks")
]
