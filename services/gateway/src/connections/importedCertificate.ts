/**
 * A caller's own certificate for one connection: sealed for the certifier the moment it is here, and passed on.
 *
 * Owns: who may (the tenant whose connection holds the claim), the sealing, the audit rows. Leaves to the certifier: every rule about
 * certificates and keys; its problems come back naming the field. Built against: a private key that the gateway, NATS or a log could give
 * away. It is sealed for a public half that the certifier hands out, so nothing here can open it again.
 */
import type { Database } from "@connect-domain/database/Database.ts"
import { importCertificate, importKey, withdrawCertificate } from "@connect-domain/messages/certifier.ts"
import type { CertificateMirror } from "@connect-domain/messages/connection.ts"
import type { Calls } from "@connect-domain/nats/Calls.ts"
import { importedKeyPlace, sealFor } from "@connect-domain/secrets/PublicSeal.ts"
import { Effect } from "effect"
import { auditAsked, type By } from "../audit.ts"
import type { Caller } from "../auth/Caller.ts"
import { ApiError, notFound } from "../http/ApiError.ts"

interface Holder {
  readonly claim_id: string | null
  readonly hostname: string
  readonly environment: "test" | "live"
  /** As the lifecycle shows it: nothing secret. */
  readonly certificate: CertificateMirror
}

export const makeImportedCertificate = (database: Database["Service"], calls: Calls["Service"]) => {
  const claimOf = Effect.fnUntraced(function* (caller: Caller, id: string) {
    const [row] = yield* database.query<Holder>(
      (sql) => sql`
        select claim_id, hostname, environment, certificate from lifecycle.published_connections
        where tenant_id = ${caller.tenant_id} and id = ${id}`
    )
    if (row === undefined) return yield* notFound
    if (row.claim_id === null)
      return yield* new ApiError({
        code: "ownership_not_found",
        message: `${row.hostname} is not proven to be yours (any more): verify its ownership first`
      })
    const { claim_id, hostname, environment, certificate } = row
    return { claim: { connection_id: id, tenant_id: caller.tenant_id, claim_id, hostname, environment }, before: { certificate } }
  })

  return {
    upload: Effect.fnUntraced(function* (by: By, id: string, body: { readonly certificate: string; readonly private_key: string }) {
      const { claim, before } = yield* claimOf(by.caller, id)
      const sealed_key = sealFor(yield* calls.request(importKey, {}), body.private_key, importedKeyPlace(id))
      const asked = calls.request(importCertificate, { ...claim, certificate: body.certificate, sealed_key })
      const change = { action: "import_certificate", objectType: "connection", objectId: id, before } as const
      return (yield* auditAsked(database, by, change, asked)).certificate
    }),
    remove: Effect.fnUntraced(function* (by: By, id: string) {
      const { claim, before } = yield* claimOf(by.caller, id)
      const change = { action: "withdraw_certificate", objectType: "connection", objectId: id, before } as const
      return (yield* auditAsked(database, by, change, calls.request(withdrawCertificate, claim))).certificate
    })
  }
}
