/** Everything that the certifier reads from the environment, to be checked before it starts. The declarations stand in the files of what they configure. */
import { databaseSettings } from "@connect-domain/database/Database.ts"
import { modeSettings } from "@connect-domain/domain/Mode.ts"
import { checked, isUrl, listOf, numberSetting, type Setting, secretSetting, setting } from "@connect-domain/domain/Setting.ts"
import { networkAllowSettings } from "@connect-domain/egress/AddressPolicy.ts"
import { natsSettings } from "@connect-domain/nats/connection.ts"
import { keyRingSettings } from "@connect-domain/secrets/KeyRing.ts"
import { telemetrySettings } from "@connect-domain/telemetry/checkSettings.ts"
import { fileSetting } from "@connect-domain/telemetry/fileSetting.ts"
import { Duration, Effect, Option, Redacted } from "effect"
import { AcmeContact, AcmeEabHmacKey, AcmeEabKid } from "./Accounts.ts"
import { AcmePreferredChain, AcmeProfile, NewOrders } from "./Authorities.ts"
import { AcmeCaFile, AcmeDirectory, AcmeDirectoryTest, acmeWeights, directoriesOf } from "./acmeDirectories.ts"
import { AriPollSeconds, PauseDays } from "./attendClaim.ts"
import { limitsOf } from "./caLimits.ts"
import { allowedMethods, methods } from "./challenges/methods.ts"
import { InternalLifetime, InternalRootFile } from "./InternalAuthority.ts"
import { CertifierConcurrency } from "./Scheduler.ts"
import { AcmeRootsUrl } from "./VanishedIssuers.ts"

const directories = "https URLs of ACME directories, or internal, separated by commas"
const address = /^(mailto:)?[^\s@,]+@[^\s@,]+$/i

const readTest = Effect.flatMap(AcmeDirectoryTest, (text) =>
  Option.isNone(text) ? Effect.void : directoriesOf("CD_ACME_DIRECTORY_TEST", text.value)
)
const readContact = checked("CD_ACME_CONTACT", AcmeContact, (text) =>
  listOf(text).every((one) => address.test(one)) ? undefined : "is not a list of e-mail addresses"
)
const readRootsUrl = checked("CD_ACME_ROOTS_URL", AcmeRootsUrl, (url) =>
  Option.isNone(url) || isUrl(url.value, "https", "http") ? undefined : "is not a URL"
)
const readHmacKeys = checked("CD_ACME_EAB_HMAC_KEY", AcmeEabHmacKey, (keys) =>
  listOf(Redacted.value(keys)).every((key) => /^[A-Za-z0-9_-]+=*$/.test(key)) ? undefined : "is not base64url"
)
const readLifetime = checked("CD_INTERNAL_CA_LIFETIME", InternalLifetime, (lifetime) =>
  Duration.isLessThan(lifetime, Duration.seconds(1)) || Duration.isGreaterThan(lifetime, Duration.days(825))
    ? "is too short or too long"
    : undefined
)

export const settings: ReadonlyArray<Setting> = [
  ...modeSettings,
  ...databaseSettings,
  ...natsSettings("certifier"),
  ...keyRingSettings("EDGE_KEK", "CD_ACME_KEK"),
  ...networkAllowSettings,
  setting(
    "CD_ACME_DIRECTORY",
    Effect.flatMap(AcmeDirectory, (text) => directoriesOf("CD_ACME_DIRECTORY", text)),
    directories
  ),
  setting("CD_ACME_DIRECTORY_TEST", readTest, directories),
  setting("CD_ACME_WEIGHTS", acmeWeights, "numbers separated by commas, one for each CA of CD_ACME_DIRECTORY, or nothing"),
  fileSetting("CD_ACME_CA_FILE", AcmeCaFile, "the path of a PEM file, or nothing"),
  setting("CD_ACME_CONTACT", readContact, "e-mail addresses, separated by commas, or nothing"),
  setting("CD_ACME_EAB_KID", AcmeEabKid, "the key ids that the CAs handed out, separated by commas"),
  secretSetting("CD_ACME_EAB_HMAC_KEY", readHmacKeys, "the keys as the CAs handed them out, base64url, separated by commas"),
  setting("CD_ACME_PROFILE", AcmeProfile, "certificate profiles of the CAs, separated by commas, or nothing"),
  setting("CD_ACME_PREFERRED_CHAIN", AcmePreferredChain, "names of the CAs' roots, separated by commas, or nothing"),
  numberSetting("CD_ACME_NEW_ORDERS", NewOrders, { least: 1, most: 10_000, unit: "requests" }),
  setting("CD_ACME_CHALLENGES", allowedMethods, `some of ${methods.join(", ")}, separated by commas`),
  setting("CD_ACME_LIMITS", limitsOf, "auto, none, letsencrypt or the path of a JSON file with limits"),
  setting("CD_ACME_ROOTS_URL", readRootsUrl, "the URL where a test CA shows its roots, or nothing"),
  numberSetting("CD_ARI_POLL_SECONDS", AriPollSeconds, { least: 1, most: 31_536_000, unit: "seconds" }),
  numberSetting("CD_CERTIFIER_PAUSE_DAYS", PauseDays, { least: 1, most: 3_650, unit: "days" }),
  numberSetting("CD_CERTIFIER_CONCURRENCY", CertifierConcurrency, { least: 1, most: 10_000, unit: "orders" }),
  setting("CD_INTERNAL_CA_LIFETIME", readLifetime, 'a duration such as "7 days"'),
  setting("CD_INTERNAL_CA_ROOT_FILE", InternalRootFile, "the path of a file to write, or nothing"),
  ...telemetrySettings("certifier")
]
