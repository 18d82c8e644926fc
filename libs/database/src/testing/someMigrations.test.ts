/** The folder of chosen migrations: what it holds, and that it goes. */
import { existsSync, readdirSync } from "node:fs"
import { assert, it } from "@effect/vitest"
import { Effect, Exit } from "effect"
import { someMigrations } from "./someMigrations.ts"

it.effect("holds what begins with one of the prefixes, and is gone with its scope", () =>
  Effect.gen(function* () {
    const folder = yield* Effect.scoped(
      Effect.map(someMigrations(["0001", "005"]), (path) => {
        assert.deepStrictEqual(readdirSync(path), ["0001_roles.sql", "0050_webhooks.sql"])
        return path
      })
    )
    assert.isFalse(existsSync(folder))
    assert.isTrue(Exit.isFailure(yield* Effect.exit(Effect.scoped(someMigrations(["0001", "nothing"])))))
  })
)
