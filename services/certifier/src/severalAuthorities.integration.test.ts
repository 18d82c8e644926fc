/** Settings of several CAs through the whole certifier: an external account, a profile, shares of new names. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { issued } from "../test/outcomes.ts"
import { Pebble } from "../test/Pebble.ts"
import { ask, makeWorld } from "../test/World.ts"

describe("several CAs", () => {
  it.live("A8: the second has all new names, its own external account and profile; the first steps in", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld()
      const hmac = Buffer.alloc(32, 7).toString("base64url")
      const second = yield* Effect.acquireRelease(
        Effect.promise(() => Pebble.start({ httpPort: world.pebble.httpPort, trust: world.pebble, externalAccounts: { "kid-2": hmac } })),
        (running) => Effect.promise(() => running.stop())
      )
      yield* world.certifierWith({
        CD_ACME_DIRECTORY: `${world.pebble.directory},${second.directory}`,
        CD_ACME_WEIGHTS: "0,1",
        CD_ACME_EAB_KID: ",kid-2",
        CD_ACME_EAB_HMAC_KEY: `,${hmac}`,
        CD_ACME_PROFILE: ",shortlived"
      })
      const one = ask("one.example.com")
      yield* world.ensure(one)
      const first = yield* issued(world, one)
      assert.strictEqual(first.ca, new URL(second.directory).host)
      assert.include(first.why!, "is the preferred certificate authority for this name")
      // 160 hours.
      assert.closeTo((Date.parse(first.not_after!) - Date.parse(first.not_before!)) / 1000, 576_000, 1)

      yield* Effect.promise(() => second.stopCa())
      const two = ask("two.example.com")
      yield* world.ensure(two)
      const stoodIn = yield* issued(world, two)
      assert.strictEqual(stoodIn.ca, new URL(world.pebble.directory).host)
      assert.include(stoodIn.why!, "stands in")
    })
  )
})
