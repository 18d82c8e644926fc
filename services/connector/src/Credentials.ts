/**
 * From a sealed credential to a provider that acts with it.
 *
 * Owns: opening the seal (this service and the gateway alone hold CREDENTIAL_ENC_KEY), and what providers get of the outside: requests and
 * connections through the address policy. Leaves the credential's form to each provider's descriptor. A plaintext lives as long as the
 * provider made from it, and never reaches a log or a message.
 */
import type { Socket } from "node:net"
import type { Descriptor, Reach } from "@connect-domain/dns-provider/Descriptor.ts"
import { AccessDenied, type DnsProvider, type Reason, Unsupported } from "@connect-domain/dns-provider/DnsProvider.ts"
import { type AddressPolicy, addressPolicy } from "@connect-domain/egress/AddressPolicy.ts"
import { checkedConnect } from "@connect-domain/egress/checkedConnect.ts"
import type { EgressError } from "@connect-domain/egress/EgressError.ts"
import { HttpClient } from "@connect-domain/egress/HttpClient.ts"
import type { SealedCredential } from "@connect-domain/messages/record.ts"
import { credentialPlace } from "@connect-domain/secrets/credentialPlace.ts"
import { keyRing } from "@connect-domain/secrets/KeyRing.ts"
import { makeVault } from "@connect-domain/secrets/Vault.ts"
import { Context, Effect, Layer, Result } from "effect"
import { descriptorOf } from "./providers/registry.ts"

export type Opened = { readonly descriptor: Descriptor; readonly provider: (typeof DnsProvider)["Service"] }

export class Credentials extends Context.Service<
  Credentials,
  {
    /** Fails with who must act: `Unsupported` for a provider that is not here, `AccessDenied` for a credential that can't be read. */
    readonly open: (credential: SealedCredential) => Effect.Effect<Opened, Reason>
  }
>()("connector/Credentials") {
  static readonly layer = Layer.effect(
    Credentials,
    Effect.gen(function* () {
      const vault = makeVault(yield* keyRing("CREDENTIAL_ENC_KEY"))
      const reach = makeReach(yield* HttpClient, yield* addressPolicy)
      return Credentials.of({
        open: (credential) =>
          Effect.suspend((): Effect.Effect<Opened, Reason> => {
            const descriptor = descriptorOf(credential.provider)
            if (descriptor === undefined) {
              const remedy = `automatic set-up through "${credential.provider}" is not available; set the records by hand`
              return Effect.fail(new Unsupported({ capability: "provider", remedy }))
            }
            const text = vault.openText(credential.sealed, credentialPlace(credential))
            const token = Result.flatMap(text, parseToken)
            if (Result.isFailure(token))
              return Effect.fail(new AccessDenied({ remedy: "the stored credential can't be opened; delete it and enter it again" }))
            const provider = descriptor.make(token.success, reach)
            if (Result.isFailure(provider))
              return Effect.fail(new AccessDenied({ remedy: `the credential's form is wrong: ${provider.failure}` }))
            return Effect.succeed({ descriptor, provider: provider.success })
          })
      })
    })
  )
}

const parseToken = (text: string): Result.Result<unknown, unknown> => Result.try(() => JSON.parse(text) as unknown)

/** Everything a provider gets of the outside. */
export const makeReach = (http: (typeof HttpClient)["Service"], policy: AddressPolicy): Reach => ({
  request: http.request,
  connect: (host, port) =>
    Effect.acquireRelease(
      Effect.callback<Socket, EgressError>((resume) => {
        checkedConnect(policy, { host, port }, (error, socket) => {
          resume(error === null ? Effect.succeed(socket as Socket) : Effect.fail(error))
        })
      }),
      (socket) => Effect.sync(() => socket.destroy())
    )
})
