/** Everything that the lifecycle service reads from the environment, to be checked before it starts. The declarations stand in the files of what they configure. */
import { databaseSettings } from "@connect-domain/database/Database.ts"
import { acmeZoneSettings } from "@connect-domain/domain/acmeZone.ts"
import { edgeSettings } from "@connect-domain/domain/edgeSettings.ts"
import { modeSettings } from "@connect-domain/domain/Mode.ts"
import { numberSetting, type Setting } from "@connect-domain/domain/Setting.ts"
import { natsSettings } from "@connect-domain/nats/connection.ts"
import { provisionSettings } from "@connect-domain/nats/provision.ts"
import { telemetrySettings } from "@connect-domain/telemetry/checkSettings.ts"
import { DepartedAfterSeconds, LiveCheckSeconds } from "./timing.ts"

const year = 31_536_000

export const settings: ReadonlyArray<Setting> = [
  ...modeSettings,
  ...databaseSettings,
  ...natsSettings("lifecycle"),
  ...provisionSettings,
  ...edgeSettings,
  ...acmeZoneSettings,
  numberSetting("CD_LIVE_CHECK_SECONDS", LiveCheckSeconds, { least: 1, most: year, unit: "seconds" }),
  numberSetting("CD_DEPARTED_AFTER_SECONDS", DepartedAfterSeconds, { least: 1, most: 10 * year, unit: "seconds" }),
  ...telemetrySettings("lifecycle")
]
