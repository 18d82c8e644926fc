import { assert, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber } from "effect"
import { groupCommit } from "./GroupCommit.ts"

const never = { divides: () => false }

it.effect("starts at once, gathers while it works, answers each member", () =>
  Effect.gen(function* () {
    const groups: Array<ReadonlyArray<number>> = []
    const gate = yield* Deferred.make<void>()
    const double = yield* groupCommit<number, number, never, never>({ size: 3, parallel: 1, ...never }, (members) => {
      groups.push(members)
      return Effect.as(
        Deferred.await(gate),
        members.map((member) => Exit.succeed(member * 2))
      )
    })
    const all = yield* Effect.forkChild(Effect.forEach([1, 2, 3, 4, 5], double, { concurrency: "unbounded" }))
    yield* Effect.yieldNow
    yield* Deferred.succeed(gate, undefined)
    assert.deepStrictEqual(yield* Fiber.join(all), [2, 4, 6, 8, 10])
    assert.deepStrictEqual(groups, [[1], [2, 3, 4], [5]])
  })
)

it.effect("tries members alone when one of them may be at fault", () =>
  Effect.gen(function* () {
    const gate = yield* Deferred.make<void>()
    const run = (members: ReadonlyArray<number>) =>
      Effect.andThen(
        Deferred.await(gate),
        members.includes(3) ? Effect.fail("refused") : Effect.succeed(members.map((member) => Exit.succeed(member)))
      )
    const echo = yield* groupCommit<number, number, string, never>({ size: 10, parallel: 1, divides: (error) => error === "refused" }, run)
    const all = yield* Effect.forkChild(Effect.forEach([1, 2, 3, 4], (member) => Effect.result(echo(member)), { concurrency: "unbounded" }))
    yield* Effect.yieldNow
    yield* Deferred.succeed(gate, undefined)
    const results = yield* Fiber.join(all)
    assert.deepStrictEqual(
      results.map((result) => result._tag),
      ["Success", "Success", "Failure", "Success"]
    )
  })
)

it.effect("goes on for the others when a member leaves", () =>
  Effect.gen(function* () {
    const gate = yield* Deferred.make<void>()
    const echo = yield* groupCommit<number, number, never, never>({ size: 10, parallel: 1, ...never }, (members) =>
      Effect.as(
        Deferred.await(gate),
        members.map((member) => Exit.succeed(member))
      )
    )
    const leaving = yield* Effect.forkChild(echo(1))
    const staying = yield* Effect.forkChild(echo(2))
    yield* Effect.yieldNow
    yield* Fiber.interrupt(leaving)
    yield* Deferred.succeed(gate, undefined)
    assert.strictEqual(yield* Fiber.join(staying), 2)
  })
)
