/** Everything that the gateway reads from the environment, to be checked before it starts. The declarations stand in the files of what they configure. */
import { databaseSettings } from "@connect-domain/database/Database.ts"
import { acmeZoneSettings } from "@connect-domain/domain/acmeZone.ts"
import { edgeSettings } from "@connect-domain/domain/edgeSettings.ts"
import { modeSettings } from "@connect-domain/domain/Mode.ts"
import { numberSetting, type Setting, setting } from "@connect-domain/domain/Setting.ts"
import { networkAllowSettings } from "@connect-domain/egress/AddressPolicy.ts"
import { natsSettings } from "@connect-domain/nats/connection.ts"
import { keyRingSettings } from "@connect-domain/secrets/KeyRing.ts"
import { telemetrySettings } from "@connect-domain/telemetry/checkSettings.ts"
import { apiAddress } from "./apiServer.ts"
import { RateLimit } from "./http/RateLimit.ts"
import { internalAddress } from "./internal/internalServer.ts"

const listen = "host:port such as 127.0.0.1:8080"

export const settings: ReadonlyArray<Setting> = [
  ...modeSettings,
  ...databaseSettings,
  ...natsSettings("gateway"),
  ...edgeSettings,
  ...acmeZoneSettings,
  ...keyRingSettings("CREDENTIAL_ENC_KEY", "CD_TOKEN_KEY"),
  ...networkAllowSettings,
  numberSetting("CD_RATE_LIMIT", RateLimit, { least: 0, most: 1_000_000_000, unit: "requests per minute" }),
  setting("CD_API_LISTEN", apiAddress, listen),
  setting("CD_INTERNAL_LISTEN", internalAddress, listen),
  ...telemetrySettings("gateway")
]
