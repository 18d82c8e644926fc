/**
 * Opening a service's connection to NATS.
 *
 * Owns: addresses, credentials, the client's options, waiting for a server that is not there yet, the version gate.
 * Built against: a client that gives up for ever after ten tries, a process that waits in silence for a server that refuses it, and a
 * server too old to expire keys.
 */
import { checked, isUrl, listOf, type Setting, secretSetting } from "@connect-domain/domain/Setting.ts"
import type { Sender } from "@connect-domain/messages/definition.ts"
import { fileSetting } from "@connect-domain/telemetry/fileSetting.ts"
import { AuthorizationError, type ConnectionOptions, connect, type NatsConnection, nkeyAuthenticator, nkeys } from "@nats-io/transport-node"
import { Config, Data, Effect, Option, Redacted, Schedule } from "effect"

/** Address of NATS: `nats://host:port`, several separated by commas. No default. */
export const NatsUrl = Config.String("NATS_URL")

/** The nkey seed of a service's NATS user, `CD_<SERVICE>_NATS_SEED`. Unset: no authentication (tests only). */
export const natsSeed = (service: Sender) => Config.Redacted(`CD_${service.toUpperCase()}_NATS_SEED`)

/** PEM file with the CA of a NATS server that speaks TLS. Unset: TLS as the address says, with the system's CAs. */
export const NatsCaFile = Config.String("CD_NATS_CA_FILE")

/** All that a service needs to know of NATS. */
export const natsSettings = (service: Sender): ReadonlyArray<Setting> => {
  const seed = `CD_${service.toUpperCase()}_NATS_SEED`
  const bad = (text: string) => listOf(text).length === 0 || !listOf(text).every((server) => isUrl(server, "nats", "tls"))
  return [
    secretSetting(
      "NATS_URL",
      checked("NATS_URL", NatsUrl, (text) => (bad(text) ? "is not an address of NATS" : undefined)),
      "nats://host:port or tls://host:port, several separated by commas"
    ),
    secretSetting(
      seed,
      checked(seed, Config.option(natsSeed(service)), (given) =>
        Option.isNone(given) || Redacted.value(given.value) === "" || isSeed(Redacted.value(given.value))
          ? undefined
          : "is not an nkey seed"
      ),
      "the seed of this service's NATS user, SU…"
    ),
    fileSetting("CD_NATS_CA_FILE", Config.option(NatsCaFile), "the path of a PEM file")
  ]
}

/** The server can't be used at all: too old, or it refuses this user. Starting again does not help. */
export class NatsUnusable extends Data.TaggedError("NatsUnusable")<{ readonly message: string }> {}

/** Per-key TTLs with delete markers came with 2.11, repaired in 2.12. */
const minimumVersion = [2, 12] as const

/** The prefix of a user's reply subjects: only that user may subscribe to it. */
export const inboxPrefix = (service: Sender): string => `_INBOX_${service}`

/** An attempt failed in a way that time may mend. */
class NotYet extends Data.TaggedError("NotYet")<{ readonly message: string }> {}

/** A connection that closes with the scope and reconnects for ever. Fails for a server that is there and can't be used. */
export const openConnection = (service: Sender) =>
  Effect.gen(function* () {
    const options = yield* connectionOptions(service)
    const attempt = Effect.acquireRelease(
      Effect.tryPromise({ try: () => connect(options), catch: (error) => explain(error, service) }),
      (connection) => Effect.promise(() => close(connection))
    )
    const connection = yield* attempt.pipe(
      Effect.tapError((error) => (error._tag === "NotYet" ? Effect.logWarning(error.message) : Effect.void)),
      Effect.retry({
        while: (error) => error._tag === "NotYet",
        schedule: Schedule.min([Schedule.exponential("100 millis"), Schedule.spaced("2 seconds")]).pipe(Schedule.jittered)
      }),
      Effect.catchTag("NotYet", (error) => Effect.fail(new NatsUnusable(error)))
    )
    const version = connection.info?.version ?? "0"
    if (isSupportedVersion(version)) return connection
    return yield* new NatsUnusable({ message: `nats-server ${version} is too old: ${minimumVersion.join(".")} or newer is needed` })
  })

const connectionOptions = (service: Sender) =>
  Effect.gen(function* () {
    const servers = (yield* NatsUrl).split(",").map((server) => server.trim())
    const given = (value: string) => value !== ""
    const seed = Option.filter(Option.map(yield* Config.option(natsSeed(service)), Redacted.value), given)
    const caFile = Option.filter(yield* Config.option(NatsCaFile), given)
    if (Option.isSome(seed) && !isSeed(seed.value)) {
      return yield* new NatsUnusable({ message: `CD_${service.toUpperCase()}_NATS_SEED is not an nkey seed` })
    }
    const options: ConnectionOptions = {
      servers,
      name: `connect-domain ${service}`,
      inboxPrefix: inboxPrefix(service),
      maxReconnectAttempts: -1,
      reconnectTimeWait: 150,
      // After the first connection a refusal is the server's trouble (a reload, say), not ours: go on trying.
      ignoreAuthErrorAbort: true,
      noAsyncTraces: true,
      pingInterval: 10_000,
      maxPingOut: 2,
      timeout: 3_000,
      ...(Option.isSome(seed) ? { authenticator: nkeyAuthenticator(new TextEncoder().encode(seed.value)) } : {}),
      ...(Option.isSome(caFile) ? { tls: { caFile: caFile.value } } : {})
    }
    return options
  })

const isSeed = (text: string): boolean => {
  try {
    nkeys.fromSeed(new TextEncoder().encode(text))
    return true
  } catch {
    return false
  }
}

const explain = (error: unknown, service: Sender): NatsUnusable | NotYet => {
  const refused = error instanceof AuthorizationError || (error instanceof Error && error.cause instanceof AuthorizationError)
  return refused
    ? new NatsUnusable({ message: `NATS does not know the user of ${service}: check CD_${service.toUpperCase()}_NATS_SEED` })
    : new NotYet({ message: `waiting for NATS: ${error instanceof Error ? error.message : String(error)}` })
}

const close = (connection: NatsConnection) =>
  Promise.race([
    connection.drain().catch(() => connection.close()),
    new Promise<void>((resolve) => setTimeout(resolve, 2_000).unref()).then(() => connection.close())
  ])

/** Whether a server of this version can be used; exported for its test. */
export const isSupportedVersion = (version: string): boolean => {
  const [major = 0, minor = 0] = version.split(".").map((part) => Number.parseInt(part, 10))
  return major > minimumVersion[0] || (major === minimumVersion[0] && minor >= minimumVersion[1])
}
