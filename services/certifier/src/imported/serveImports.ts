/**
 * The gateway's calls about certificates that callers bring: the half to seal for, the upload, the way back.
 *
 * Owns: opening the uploaded key, once, and sealing it anew as every certificate key is. The half is derived from CD_ACME_KEK, which
 * nobody but the certifier has: the gateway sees a key in the caller's request and can't open what it made of it, messages and logs of
 * messages hold nothing that anybody else could. Leaves to `checkImported.ts` the rules, to `Imports.ts` the tables.
 */
import { importCertificate, importKey, withdrawCertificate } from "@connect-domain/messages/certifier.ts"
import { CallError, Calls } from "@connect-domain/nats/Calls.ts"
import { keyRing } from "@connect-domain/secrets/KeyRing.ts"
import { importedKeyPlace, makeOpener } from "@connect-domain/secrets/PublicSeal.ts"
import { makeVault } from "@connect-domain/secrets/Vault.ts"
import { Clock, Effect, Layer, Result } from "effect"
import { certificateKeyPlace } from "../Certificates.ts"
import { mirror } from "../Notices.ts"
import { Wake } from "../Wake.ts"
import { checkImported } from "./checkImported.ts"
import { Imports } from "./Imports.ts"

const unavailable = (error: { readonly message: string }) => new CallError({ code: "unavailable", message: error.message })
const refused = (field: string, message: string) => new CallError({ code: "invalid", message, details: { field } })

export const serveImports = Layer.effectDiscard(
  Effect.gen(function* () {
    const [calls, imports, wake] = [yield* Calls, yield* Imports, yield* Wake]
    const opener = makeOpener(yield* keyRing("CD_ACME_KEK"))
    const vault = makeVault(yield* keyRing("EDGE_KEK"))

    yield* calls.serve(importKey, () => Effect.succeed(opener.publicHalf))

    yield* calls.serve(importCertificate, ({ certificate, sealed_key, ...claim }) =>
      Effect.gen(function* () {
        const privateKey = opener.openText(sealed_key, importedKeyPlace(claim.connection_id))
        // Sealed for a ring that is gone: the caller's next attempt gets the half of today.
        if (Result.isFailure(privateKey)) return yield* unavailable(privateKey.failure)
        const now = new Date(yield* Clock.currentTimeMillis)
        const checked = checkImported({ certificate, privateKey: privateKey.success }, claim.hostname, now)
        if (Result.isFailure(checked)) return yield* refused(checked.failure.field, checked.failure.message)
        const { keyPem } = checked.success
        const stored = yield* imports
          .store(claim, checked.success, (id) => vault.seal(keyPem, certificateKeyPlace(claim.claim_id, id)))
          .pipe(
            Effect.catchTag("ClaimOver", () => Effect.fail(new CallError({ code: "not_found", message: "no such object" }))),
            Effect.catchTag("DatabaseError", (error) => Effect.fail(unavailable(error)))
          )
        yield* wake.now
        yield* Effect.logInfo("certificate imported", { hostname: claim.hostname, serial: stored.serial, not_after: stored.not_after })
        return { certificate: mirror(stored, "issued") }
      })
    )

    yield* calls.serve(withdrawCertificate, (claim) =>
      imports.withdraw(claim).pipe(
        Effect.mapError(unavailable),
        Effect.tap(wake.now),
        Effect.map((current) => ({ certificate: mirror(current, current === undefined ? "none" : "issued") }))
      )
    )
  })
)
