/** `host:port` settings, and an error that names the setting and the port when it can't be listened on. */
import { Config, ConfigProvider, Data, Effect } from "effect"

export interface ListenAddress {
  readonly name: string
  readonly host: string
  readonly port: number
}

/** The port is taken, or may not be used. */
export class ListenError extends Data.TaggedError("ListenError")<{ readonly message: string }> {}

/** The text of the setting `name` as an address. */
export const parseListenAddress = (name: string, text: string): Effect.Effect<ListenAddress, Config.ConfigError> => {
  const at = text.lastIndexOf(":")
  const port = Number(text.slice(at + 1))
  if (at < 1 || text.slice(at + 1) === "" || !Number.isInteger(port) || port < 0 || port > 65_535) {
    return Effect.fail(new Config.ConfigError(new ConfigProvider.SourceError({ message: `${name}: ${text} is not host:port` })))
  }
  return Effect.succeed({ name, host: text.slice(0, at).replace(/^\[|\]$/g, ""), port })
}

export const listenError = (address: ListenAddress, cause: unknown): ListenError => {
  const code =
    (cause as { cause?: { code?: string }; code?: string } | undefined)?.cause?.code ?? (cause as { code?: string } | undefined)?.code
  const why = code === "EADDRINUSE" ? "the port is taken" : (code ?? String(cause))
  return new ListenError({ message: `${address.name}=${address.host}:${address.port}: ${why}` })
}
