/** Everything that the connector reads from the environment, to be checked before it starts. The declarations stand in the files of what they configure. */
import { dnsSettingsList } from "@connect-domain/dns/DnsSettings.ts"
import { acmeZoneSettings } from "@connect-domain/domain/acmeZone.ts"
import { modeSettings } from "@connect-domain/domain/Mode.ts"
import { checked, type Setting, setting } from "@connect-domain/domain/Setting.ts"
import { networkAllowSettings } from "@connect-domain/egress/AddressPolicy.ts"
import { natsSettings } from "@connect-domain/nats/connection.ts"
import { keyRingSettings } from "@connect-domain/secrets/KeyRing.ts"
import { telemetrySettings } from "@connect-domain/telemetry/checkSettings.ts"
import { acmeZoneCredentialSettings } from "./AcmeZone.ts"
import { CaaIssuers } from "./preflight.ts"

const issuer = /^[a-z0-9-]+(\.[a-z0-9-]+)*$/
const readIssuers = checked("CD_CAA_ISSUERS", CaaIssuers, (names) => {
  const wrong = names.find((name) => !issuer.test(name))
  return wrong === undefined ? undefined : `${wrong} is no CA's domain name`
})

export const settings: ReadonlyArray<Setting> = [
  ...modeSettings,
  ...natsSettings("connector"),
  ...keyRingSettings("CREDENTIAL_ENC_KEY"),
  ...networkAllowSettings,
  ...dnsSettingsList,
  setting("CD_CAA_ISSUERS", readIssuers, "the CAs' names as in CAA records such as letsencrypt.org, separated by commas"),
  ...acmeZoneSettings,
  ...acmeZoneCredentialSettings,
  ...telemetrySettings("connector")
]
