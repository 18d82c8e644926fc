/**
 * Questions about providers: which there are, and does this credential work?
 *
 * Owns: two calls. The list comes from the registry's descriptors; a credential is tried without writing.
 */
import type { Descriptor } from "@connect-domain/dns-provider/Descriptor.ts"
import { DnsProviderError, explain, type Reason } from "@connect-domain/dns-provider/DnsProvider.ts"
import { listProviders, type ProviderView, testCredential } from "@connect-domain/messages/connector.ts"
import { CallError, Calls } from "@connect-domain/nats/Calls.ts"
import { Effect, Layer } from "effect"
import { Credentials } from "./Credentials.ts"
import { registry } from "./providers/registry.ts"

export const toView = (descriptor: Descriptor): ProviderView => ({
  key: descriptor.key,
  name: descriptor.name,
  credential_fields: descriptor.credentialFields,
  capabilities: {
    atomic_apply: descriptor.capabilities.atomicApply,
    conditional_apply: descriptor.capabilities.conditionalApply,
    apex_alias: descriptor.capabilities.apexAlias,
    wildcard: descriptor.capabilities.wildcard,
    caa: descriptor.capabilities.caa
  },
  guide: descriptor.guide,
  logo: descriptor.logo
})

const refuse = (reason: Reason) =>
  Effect.fail(
    reason._tag === "RateLimited" || reason._tag === "Unavailable"
      ? new CallError({ code: "unavailable", message: explain(reason) })
      : new CallError({ code: "credential_refused", message: explain(reason) })
  )

/** A name in nobody's account: "no such zone" is then the answer of a credential that works. */
const nobodysName = "credential-test.invalid"

export const providerCalls = Layer.effectDiscard(
  Effect.gen(function* () {
    const calls = yield* Calls
    const credentials = yield* Credentials
    yield* calls.serve(listProviders, () => Effect.succeed({ providers: Object.values(registry).map(toView) }))
    yield* calls.serve(testCredential, ({ credential, hostname }) =>
      credentials.open(credential).pipe(
        Effect.flatMap(({ provider }) =>
          hostname === null
            ? Effect.catchIf(
                provider.checkAccess(nobodysName),
                (error) => error.reason._tag === "ZoneNotFound",
                () => Effect.void
              )
            : provider.checkAccess(hostname)
        ),
        Effect.as({ ok: true, zones: null }),
        Effect.catch((error) => refuse(error instanceof DnsProviderError ? error.reason : error))
      )
    )
  })
)
