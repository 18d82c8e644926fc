import { Nats } from "@connect-domain/nats/Nats.ts"
import { provision } from "@connect-domain/nats/provision.ts"
import { startNats } from "@connect-domain/nats/testing/NatsServer.ts"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { control, until } from "../testing/runningRouter.ts"
import { followRegistry } from "./followRegistry.ts"
import { Registry } from "./Registry.ts"

describe("E16: how old what is served may be", () => {
  it.live("E16: is told by asking the bucket of hostnames, whatever else of NATS answers", () =>
    Effect.gen(function* () {
      const nats = yield* startNats()
      yield* Effect.gen(function* () {
        yield* provision
        let current = 0
        yield* Effect.forkChild(followRegistry(new Registry(), () => void current++))
        const asked = Effect.sync(() => current)
        // With nothing new in the bucket.
        yield* until(asked, (count) => count >= 3)
        const { connection } = yield* Nats
        yield* Effect.promise(() => connection.request("$JS.API.STREAM.DELETE.KV_hostnames"))
        const last = yield* asked
        yield* Effect.sleep("5 seconds")
        // One may have been under way.
        assert.isAtMost(yield* asked, last + 1)
        yield* provision
        yield* until(asked, (count) => count >= last + 3)
      }).pipe(Effect.provide(control(nats), { local: true }))
    })
  )
})
