/**
 * Refuses to start with wrong settings, before anything of a service exists.
 *
 * Owns: reading all of a service's settings at once, one line for each wrong or missing one, and the exit. Leaves to each setting's file what
 * is wrong; to the service its list. Built against: an operator who learns of his mistakes one restart at a time, and a process that has
 * opened a port or taken a message before it finds that a key is missing.
 */
import { Mode } from "@connect-domain/domain/Mode.ts"
import { checked, isListenAddress, isUrl, type Setting, secretSetting, setting } from "@connect-domain/domain/Setting.ts"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Cause, Config, ConfigProvider, Effect, Exit, Layer, Option, Runtime } from "effect"
import { healthListen } from "./healthServer.ts"
import { redactText } from "./redact.ts"
import { outliveReader } from "./standardOutput.ts"
import { LogLevelSetting, levels, OtlpEndpoint } from "./Telemetry.ts"

/** The settings of this library for one service. */
export const telemetrySettings = (service: string): ReadonlyArray<Setting> => {
  const health = `CD_${service.toUpperCase()}_HEALTH_LISTEN`
  return [
    setting(
      "CD_LOG_LEVEL",
      checked("CD_LOG_LEVEL", LogLevelSetting, (level) => (level.trim().toLowerCase() in levels ? undefined : "is no level")),
      `one of ${Object.keys(levels).join(", ")}`
    ),
    secretSetting(
      "OTEL_EXPORTER_OTLP_ENDPOINT",
      checked("OTEL_EXPORTER_OTLP_ENDPOINT", OtlpEndpoint, (endpoint) =>
        Option.isNone(endpoint) || isUrl(endpoint.value, "http", "https") ? undefined : "is not an http URL"
      ),
      "the URL of an OTLP/HTTP collector such as http://localhost:4318, or nothing"
    ),
    setting(
      health,
      checked(health, healthListen(service), (listen) =>
        Option.isNone(listen) || isListenAddress(listen.value) ? undefined : "is not host:port"
      ),
      "host:port such as 127.0.0.1:9090, or nothing"
    )
  ]
}

const shownLength = 80

/** What is wrong, in the words of the check; undefined where it only says that the text does not parse. */
const reasonOf = (name: string, cause: Cause.Cause<Config.ConfigError>): string | undefined => {
  const error = cause.reasons.find(Cause.isFailReason)?.error
  if (error?.cause._tag !== "SourceError") return undefined
  const { message } = error.cause
  return message.startsWith(name) ? message.slice(name.length).replace(/^[:\s]+/, "") : message
}

/** `NAME="value": what is wrong; give what instead`. Never a secret's value. */
const lineFor = ({ name, secret, wanted }: Setting, value: string | undefined, reason: string | undefined): string => {
  if (value === undefined || value === "") return `${name}: ${reason ?? "is missing"}; give ${wanted}`
  const shown = secret ? "" : `=${JSON.stringify(redactText(value).slice(0, shownLength))}`
  return `${name}${shown}: ${redactText(reason ?? "can't be read")}; give ${wanted}`
}

/** One line for each wrong setting, in the order of the list. A setting that stands in it twice is told of once. */
export const wrongSettings = (settings: ReadonlyArray<Setting>): Effect.Effect<ReadonlyArray<string>> =>
  Effect.gen(function* () {
    const environment = yield* ConfigProvider.ConfigProvider
    // A mode that does not exist is one mistake: what depends on it is judged as in production.
    const mode = Exit.getSuccess(yield* Effect.exit(Mode))
    const strict = ConfigProvider.orElse(ConfigProvider.fromEnvRecord({ CD_MODE: "production" }), environment)
    const judged = Option.isSome(mode) ? environment : strict
    const lines = new Map<string, string>()
    for (const one of settings) {
      const provider = one.name === "CD_MODE" ? environment : judged
      const exit = yield* Effect.exit(Effect.provideService(one.read, ConfigProvider.ConfigProvider, provider))
      if (Exit.isSuccess(exit) || lines.has(one.name)) continue
      const value = yield* Effect.orElseSucceed(Config.option(Config.String(one.name)), () => Option.none())
      lines.set(one.name, lineFor(one, Option.getOrUndefined(value), reasonOf(one.name, exit.cause)))
    }
    return [...lines.values()]
  })

/** Being told to stop and having stopped is success (E14): a supervisor must not read 130 as a crash and start it again. */
const stopped: Runtime.Teardown = (exit, onExit) =>
  Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause) ? onExit(0) : Runtime.defaultTeardown(exit, onExit)

/** Runs a service until SIGTERM, then exits with 0. With wrong settings: their lines on standard error, exit code 1, and nothing was started. */
export const runService = <E>(settings: ReadonlyArray<Setting>, service: Layer.Layer<never, E>): void => {
  for (const out of [process.stdout, process.stderr]) outliveReader(out)
  NodeRuntime.runMain(
    Effect.flatMap(wrongSettings(settings), (lines) => {
      if (lines.length === 0) return Layer.launch(service)
      return Effect.sync(() => {
        process.exitCode = 1
        process.stderr.write(`${lines.length} wrong settings, nothing was started:\n${lines.join("\n")}\n`)
      })
    }),
    { teardown: stopped }
  )
}
