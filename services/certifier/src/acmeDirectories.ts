/**
 * Where the CAs are and how they are reached: configuration and HTTPS, for all who talk to them.
 *
 * Owns: the directories' settings, their names in the API, which roots their own HTTPS may chain to. Leaves to `Authorities.ts`: issuing.
 */
import { readFileSync } from "node:fs"
import { rootCertificates } from "node:tls"
import { isUrl, listOf, wrongSetting } from "@connect-domain/domain/Setting.ts"
import { addressPolicy } from "@connect-domain/egress/AddressPolicy.ts"
import { HttpClient } from "@connect-domain/egress/HttpClient.ts"
import { Config, Effect, Option } from "effect"
import { internalDirectory } from "./issuerOrigin.ts"

const letsEncrypt = "https://acme-v02.api.letsencrypt.org/directory"
const letsEncryptStaging = "https://acme-staging-v02.api.letsencrypt.org/directory"

/**
 * ACME directories for `live` applications, comma-separated, the preferred one first; the others step in when it is away or its limits are
 * used up. `internal`: our own CA. Default: Let's Encrypt.
 */
export const AcmeDirectory = Config.String("CD_ACME_DIRECTORY").pipe(Config.withDefault(letsEncrypt))
/** The same for `test` applications. Default: Let's Encrypt's staging; `internal` where CD_ACME_DIRECTORY is `internal`. */
export const AcmeDirectoryTest = Config.option(Config.String("CD_ACME_DIRECTORY_TEST"))
/**
 * How new names of `live` applications are shared out among the CAs of CD_ACME_DIRECTORY: a number for each, in that order (`3,1`: three of four
 * names begin at the first). Where a name's CA does not deliver, the others follow. 0: only then. Default: all begin at the first.
 */
export const AcmeWeights = Config.String("CD_ACME_WEIGHTS").pipe(Config.withDefault(""))
/** PEM file with roots that the directories' own HTTPS certificates may chain to, besides the public ones. Default: none. */
export const AcmeCaFile = Config.option(Config.String("CD_ACME_CA_FILE"))

const names: ReadonlyMap<string, string> = new Map([
  [letsEncrypt, "letsencrypt"],
  [letsEncryptStaging, "letsencrypt-staging"]
])

/** What callers see as `ca`: a short name, or the directory's host. */
export const nameOf = (directory: string): string => names.get(directory) ?? URL.parse(directory)?.host ?? directory

export type Environment = "test" | "live"

/** One that is named twice counts once. */
const namedIn = (text: string): ReadonlyArray<string> => [...new Set(listOf(text))]

/** The directories that a setting names. Plain http would let anybody on the way issue, so only https counts. */
export const directoriesOf = (name: string, text: string) => {
  const directories = namedIn(text)
  const wrong = directories.find((directory) => directory !== internalDirectory && !isUrl(directory, "https"))
  if (wrong !== undefined) return wrongSetting(name, `${wrong} is neither an https URL nor "internal"`)
  return directories.length === 0 ? wrongSetting(name, "names no directory") : Effect.succeed(directories)
}

/** The directories of both environments, in order of preference, checked. */
export const acmeDirectories = Effect.gen(function* () {
  const live = yield* directoriesOf("CD_ACME_DIRECTORY", yield* AcmeDirectory)
  const testDefault = live[0] === internalDirectory ? internalDirectory : letsEncryptStaging
  const test = yield* directoriesOf(
    "CD_ACME_DIRECTORY_TEST",
    Option.getOrElse(yield* AcmeDirectoryTest, () => testDefault)
  )
  return { live, test } satisfies Readonly<Record<Environment, ReadonlyArray<string>>>
})

/** One for each CA of CD_ACME_DIRECTORY, checked. Whether those are directories is for `acmeDirectories` to say. */
export const acmeWeights = Effect.gen(function* () {
  const count = namedIn(yield* AcmeDirectory).length
  const values = listOf(yield* AcmeWeights)
  if (values.length === 0) return Array.from({ length: count }, (_, at) => (at === 0 ? 1 : 0))
  const weights = values.map(Number)
  const isNone = (weight: number) => !Number.isFinite(weight) || weight < 0
  const wrong = weights.length !== count || weights.some(isNone) || weights.every((each) => each === 0)
  if (wrong) return yield* wrongSetting("CD_ACME_WEIGHTS", "is not one number for each CA of CD_ACME_DIRECTORY, at least one above 0")
  return weights
})

/** HTTPS to CAs and to their management. */
export const acmeHttpClient = Effect.gen(function* () {
  const policy = yield* addressPolicy
  const caFile = yield* AcmeCaFile
  const ca = Option.map(caFile, (file) => [readFileSync(file, "utf8"), ...rootCertificates].join("\n"))
  return yield* HttpClient.make(policy, Option.isSome(ca) ? { ca: ca.value } : {})
})

/** A setting with one value for every CA, or one for each in the order of CD_ACME_DIRECTORY; empty: undefined. */
export const perDirectory = (text: string, live: ReadonlyArray<string>) => {
  const values = text.split(",").map((value) => value.trim())
  return (directory: string): string | undefined => (values.length === 1 ? values[0] : values[live.indexOf(directory)]) || undefined
}
