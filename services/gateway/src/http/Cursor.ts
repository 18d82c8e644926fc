/**
 * Page positions as opaque text (requirement P6): bound to the tenant and the list, so that a foreign or made-up one is refused.
 *
 * Owns: their form: base64url of the position and an HMAC over tenant, list and position. Leaves to lists: what a position is; it must
 * stay meaningful when rows come and go (an id or a sequence, never an offset).
 */
import { createHmac, timingSafeEqual } from "node:crypto"
import type { KeyRing } from "@connect-domain/secrets/KeyRing.ts"
import { Effect } from "effect"
import { type ApiError, invalid } from "./ApiError.ts"

export interface Cursors {
  readonly write: (tenantId: string, list: string, position: string) => string
  readonly read: (tenantId: string, list: string, cursor: string | undefined) => Effect.Effect<string | undefined, ApiError>
}

const tagLength = 12
const refused = invalid({ field: "cursor", message: "is not a cursor of this list" })

export const makeCursors = (ring: KeyRing): Cursors => {
  const tag = (key: Uint8Array, tenantId: string, list: string, position: string): Buffer =>
    createHmac("sha256", key)
      .update(JSON.stringify(["cursor", tenantId, list, position]))
      .digest()
      .subarray(0, tagLength)
  return {
    write: (tenantId, list, position) =>
      Buffer.concat([tag(ring.keys.get(ring.first)!, tenantId, list, position), Buffer.from(position)]).toString("base64url"),
    read: (tenantId, list, cursor) => {
      if (cursor === undefined) return Effect.succeed(undefined)
      const bytes = Buffer.from(cursor, "base64url")
      if (bytes.length <= tagLength || bytes.toString("base64url") !== cursor) return Effect.fail(refused)
      const position = bytes.subarray(tagLength).toString()
      const good = [...ring.keys.values()].some((key) => timingSafeEqual(tag(key, tenantId, list, position), bytes.subarray(0, tagLength)))
      return good ? Effect.succeed(position) : Effect.fail(refused)
    }
  }
}

/** One row more than asked for was read: is there a next page, and where does it start? */
export const toPage = <A>(
  rows: ReadonlyArray<A>,
  limit: number,
  cursorAfter: (last: A) => string
): { readonly data: ReadonlyArray<A>; readonly next_cursor: string | null } => {
  const data = rows.slice(0, limit)
  return { data, next_cursor: rows.length > limit ? cursorAfter(data[data.length - 1]!) : null }
}
