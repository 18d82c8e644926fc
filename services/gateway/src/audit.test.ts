/** What the caller hears when the database goes away between another service's answer and its row. */
import type { Database } from "@connect-domain/database/Database.ts"
import { CallError } from "@connect-domain/nats/Calls.ts"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { auditAsked, type By } from "./audit.ts"

const by = { caller: { tenant_id: "t", kind: "key", key_id: "k" }, requestId: "r" } as unknown as By
const change = { action: "import", objectType: "connection", objectId: "c" } as const

/** Writes `good` rows, then none. */
const databaseWith = (good: number) => {
  let left = good
  const away = { _tag: "DatabaseError", message: "away" }
  const query = () => Effect.suspend(() => (left-- > 0 ? Effect.succeed([]) : Effect.fail(away)))
  return { query } as unknown as Database["Service"]
}

describe("P10: a change that another service makes", () => {
  it.live("is answered as that service did, though its outcome could not be written", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* auditAsked(databaseWith(1), by, change, Effect.succeed({ done: true })), { done: true })
      const refused = auditAsked(databaseWith(1), by, change, Effect.fail(new CallError({ code: "invalid", message: "no" })))
      assert.strictEqual((yield* Effect.flip(refused)).message, "no")
    })
  )

  it.live("is not asked for when the wish could not be written", () =>
    Effect.gen(function* () {
      const asked = Effect.die("asked")
      assert.strictEqual((yield* Effect.flip(auditAsked(databaseWith(0), by, change, asked))).message, "away")
    })
  )
})
