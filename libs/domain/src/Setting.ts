/**
 * An environment variable as it is checked before anything of a service starts.
 *
 * Owns: what such a check consists of, and the few kinds that many files need. Leaves the declaration, its default and its meaning to the
 * file of what it configures; evaluating and printing to libs/telemetry's `checkSettings.ts`.
 */
import { Config, ConfigProvider, Effect } from "effect"

export interface Setting {
  readonly name: string
  /** Fails for a value that the service can't run with. */
  readonly read: Effect.Effect<unknown, Config.ConfigError>
  /** What to give instead, as the end of the sentence "give …". */
  readonly wanted: string
  /** The value is never shown. */
  readonly secret: boolean
}

export const setting = (name: string, read: Setting["read"], wanted: string): Setting => ({ name, read, wanted, secret: false })

/** A setting whose value, or a part of it, is a secret. */
export const secretSetting = (name: string, read: Setting["read"], wanted: string): Setting => ({ name, read, wanted, secret: true })

/** The failure of a check: a sentence without its subject, such as "is not an address". Never with a secret in it. */
export const wrongSetting = (name: string, why: string): Effect.Effect<never, Config.ConfigError> =>
  Effect.fail(new Config.ConfigError(new ConfigProvider.SourceError({ message: `${name}: ${why}` })))

/** Passes values that `why` has nothing to say about. */
export const checked = <A>(name: string, read: Effect.Effect<A, Config.ConfigError>, why: (value: A) => string | undefined) =>
  Effect.flatMap(read, (value) => {
    const wrong = why(value)
    return wrong === undefined ? Effect.succeed(value) : wrongSetting(name, wrong)
  })

/** A number within bounds, both included. */
export const numberSetting = (
  name: string,
  read: Effect.Effect<number, Config.ConfigError>,
  { least, most, unit }: { readonly least: number; readonly most: number; readonly unit: string }
): Setting => {
  const wanted = `a number of ${unit} from ${least} to ${most}`
  return setting(
    name,
    checked(name, read, (value) => (value >= least && value <= most ? undefined : `is not within ${least} and ${most}`)),
    wanted
  )
}

/** `host:port` with a port from 0 (any free one) to 65535; without a host only where `hostless` allows it. */
export const isListenAddress = (text: string, hostless = false): boolean => {
  const [, host, port] = /^(\[[0-9a-fA-F:.]+\]|[^:[\]\s/]*)?(?::|^)(\d{1,5})$/.exec(text.trim()) ?? []
  return port !== undefined && Number(port) <= 65_535 && (hostless || (host !== undefined && host !== ""))
}

/** An absolute URL of one of the schemes, with a host. */
export const isUrl = (text: string, ...schemes: ReadonlyArray<string>): boolean => {
  const url = URL.parse(text.trim())
  return url !== null && url.hostname !== "" && schemes.includes(url.protocol.slice(0, -1))
}

/** Parts of a comma list, without blanks and empty ones. */
export const listOf = (text: string): ReadonlyArray<string> =>
  text
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "")
