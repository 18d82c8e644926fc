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
import { Config, ConfigProvider, Context, Effect, Layer, Option, Result } from "effect"
import { makeWidgetTokens, type WidgetTokens } from "./auth/WidgetTokens.ts"
import { type Cursors, makeCursors } from "./http/Cursor.ts"

/** `CD_EDGE_HOSTNAME`: the name that customers' CNAMEs point at. It, its domain and everything below are never onboarded. Required in production. */
export const EdgeHostname = Config.option(Config.String("CD_EDGE_HOSTNAME"))
const sandboxEdge = "edge.connect.test"

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
      const tokenRing = yield* keyRing("CD_TOKEN_KEY")
      return Settings.of({
        sandbox: mode === "sandbox",
        hostnamePolicy: { allowTest: mode === "sandbox", ownNames: [edge, apexOf(edge) ?? edge] },
        edge,
        edgeAddresses: yield* readEdgeAddresses,
        addresses: yield* addressPolicy,
        vault: makeVault(yield* keyRing("CREDENTIAL_ENC_KEY")),
        tokens: makeWidgetTokens(tokenRing),
        cursors: makeCursors(tokenRing)
      })
    })
  )
}

const refuse = (message: string) => Effect.fail(new Config.ConfigError(new ConfigProvider.SourceError({ message })))

/** The edge's name in canonical form. */
export const readEdge = Effect.gen(function* () {
  const text = yield* EdgeHostname
  if (Option.isNone(text)) return (yield* Mode) === "sandbox" ? sandboxEdge : yield* refuse("CD_EDGE_HOSTNAME is required in production")
  const parsed = parseHostname(text.value)
  return Result.isSuccess(parsed) ? (parsed.success as string) : yield* refuse(`CD_EDGE_HOSTNAME: ${parsed.failure.message}`)
})

/** The edge's addresses, each checked. */
export const readEdgeAddresses = Effect.flatMap(EdgeAddresses, (text) => {
  const addresses = text
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "")
  const wrong = addresses.find((address) => isIP(address) === 0)
  return wrong === undefined ? Effect.succeed(addresses) : refuse(`CD_EDGE_ADDRESSES: ${wrong} is not an IP address`)
})
