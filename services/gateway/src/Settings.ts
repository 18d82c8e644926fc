/**
 * What handlers need to know about this installation: its names, its secrets, which addresses may be named as origins.
 *
 * Owns: reading and checking it once, at start. Built against: a handler that reads the environment, and a default secret in production.
 */
import { isIP } from "node:net"
import { apexOf, type HostnamePolicy, parseHostname } from "@connect-domain/domain/Hostname.ts"
import { Mode } from "@connect-domain/domain/Mode.ts"
import { type AddressPolicy, addressPolicy } from "@connect-domain/egress/AddressPolicy.ts"
import { keyRing } from "@connect-domain/secrets/KeyRing.ts"
import { makeVault, type Vault } from "@connect-domain/secrets/Vault.ts"
import { Config, ConfigProvider, Context, Effect, Layer, Result } from "effect"
import { makeWidgetTokens, type WidgetTokens } from "./auth/WidgetTokens.ts"
import { type Cursors, makeCursors } from "./http/Cursor.ts"

/** `CD_EDGE_HOSTNAME`: the name that customers' CNAMEs point at. It, its domain and everything below are never onboarded. No default. */
export const EdgeHostname = Config.String("CD_EDGE_HOSTNAME")

/** `CD_EDGE_ADDRESSES`: comma list of the edge's addresses, for names that can't have a CNAME. Default: none. */
export const EdgeAddresses = Config.String("CD_EDGE_ADDRESSES").pipe(Config.withDefault(""))

export class Settings extends Context.Service<
  Settings,
  {
    readonly sandbox: boolean
    readonly hostnamePolicy: HostnamePolicy
    readonly edge: string
    readonly edgeAddresses: ReadonlyArray<string>
    readonly addresses: AddressPolicy
    /** Under CREDENTIAL_ENC_KEY: credentials, kept answers. */
    readonly vault: Vault
    readonly tokens: WidgetTokens
    readonly cursors: Cursors
  }
>()("gateway/Settings") {
  static readonly layer = Layer.effect(
    Settings,
    Effect.gen(function* () {
      const mode = yield* Mode
      const edge = yield* readEdge
      const edgeAddresses = (yield* EdgeAddresses)
        .split(",")
        .map((text) => text.trim())
        .filter((text) => text !== "")
      const wrong = edgeAddresses.find((address) => isIP(address) === 0)
      if (wrong !== undefined) return yield* refuse(`CD_EDGE_ADDRESSES: ${wrong} is not an IP address`)
      const tokenRing = yield* keyRing("CD_TOKEN_KEY")
      return Settings.of({
        sandbox: mode === "sandbox",
        hostnamePolicy: { allowTest: mode === "sandbox", ownNames: [edge, apexOf(edge) ?? edge] },
        edge,
        edgeAddresses,
        addresses: yield* addressPolicy,
        vault: makeVault(yield* keyRing("CREDENTIAL_ENC_KEY")),
        tokens: makeWidgetTokens(tokenRing),
        cursors: makeCursors(tokenRing)
      })
    })
  )
}

const refuse = (message: string) => Effect.fail(new Config.ConfigError(new ConfigProvider.SourceError({ message })))

const readEdge = Effect.flatMap(EdgeHostname, (text) => {
  const parsed = parseHostname(text)
  return Result.isSuccess(parsed) ? Effect.succeed(parsed.success as string) : refuse(`CD_EDGE_HOSTNAME: ${parsed.failure.message}`)
})
