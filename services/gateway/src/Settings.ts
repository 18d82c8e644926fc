/**
 * What handlers need to know about this installation: its names, its secrets, which addresses may be named as origins.
 *
 * Owns: reading and checking it once, at start. Built against: a handler that reads the environment, and a default secret in production.
 */
import { readAcmeZone } from "@connect-domain/domain/acmeZone.ts"
import { readEdgeAddresses, readEdgeHostname } from "@connect-domain/domain/edgeSettings.ts"
import { apexOf, type HostnamePolicy } from "@connect-domain/domain/Hostname.ts"
import { Mode } from "@connect-domain/domain/Mode.ts"
import { type AddressPolicy, addressPolicy } from "@connect-domain/egress/AddressPolicy.ts"
import { keyRing } from "@connect-domain/secrets/KeyRing.ts"
import { makeVault, type Vault } from "@connect-domain/secrets/Vault.ts"
import { Context, Effect, Layer } from "effect"
import { makeWidgetTokens, type WidgetTokens } from "./auth/WidgetTokens.ts"
import { type Cursors, makeCursors } from "./http/Cursor.ts"

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
      const edge = yield* readEdgeHostname
      const acmeZone = yield* readAcmeZone
      const tokenRing = yield* keyRing("CD_TOKEN_KEY")
      return Settings.of({
        sandbox: mode === "sandbox",
        hostnamePolicy: {
          allowTest: mode === "sandbox",
          ownNames: [edge, apexOf(edge) ?? edge, ...(acmeZone === null ? [] : [acmeZone])],
          allowWildcard: true
        },
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
