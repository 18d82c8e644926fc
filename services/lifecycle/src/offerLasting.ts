/**
 * The lasting record of a connection that was made before any CA was seen to take such records: offered when somebody looks again, and
 * with the next certificate.
 *
 * Owns: adding it, once. Leaves to `certificatePlan.ts` whether there is one, to libs/connection what it is. A CA says only in its first
 * authorization that it takes them, so the first connection of an installation is always made too early.
 * Not for connections whose DNS we write: their credential proves the name, and nobody would write the record.
 */
import { certificateRecords } from "@connect-domain/connection/certificateRecords.ts"
import { Database } from "@connect-domain/database/Database.ts"
import { acmePersistName } from "@connect-domain/domain/acmeNames.ts"
import { Effect } from "effect"
import type { ConnectionRow } from "./ConnectionRow.ts"
import { makeCertificatePlan } from "./certificatePlan.ts"
import { readConnection } from "./connectionStore.ts"

export const makeOfferLasting = Effect.gen(function* () {
  const db = yield* Database
  const prepare = yield* makeCertificatePlan

  /** The row as it is now. */
  return Effect.fnUntraced(function* (row: ConnectionRow) {
    const { id, hostname, automatic, state, desired_records } = row
    const host = acmePersistName(hostname)
    if (automatic || state === "failed" || state === "archived" || desired_records.some((record) => record.host === host)) return row
    const { persist } = yield* prepare(row)
    const records = certificateRecords(desired_records, { hostname, delegation: null, persist, credential: false })
    if (records.length === 0) return row
    // One statement: whoever tells the connection something meanwhile holds its row, and writes no desired records.
    yield* db.query(
      (sql) => sql`
        update lifecycle.connections set desired_records = desired_records || ${sql.json(records as never)}::jsonb,
          revision = revision + 1, updated_at = now()
        where id = ${id} and not desired_records @> ${sql.json([{ host }])}::jsonb`
    )
    return (yield* readConnection(db, id, row.tenant_id)) ?? row
  })
})
