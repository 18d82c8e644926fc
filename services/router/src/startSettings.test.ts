import { wrongSettings } from "@connect-domain/telemetry/checkSettings.ts"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect } from "effect"
import { settings } from "./startSettings.ts"

const own = settings.filter(({ name }) => name === "CD_EDGE_ID")
const wrong = (environment: Readonly<Record<string, string>>) =>
  Effect.runPromise(
    Effect.provideService(
      wrongSettings(own),
      ConfigProvider.ConfigProvider,
      ConfigProvider.fromEnvRecord({ CD_MODE: "sandbox", ...environment })
    )
  )

describe("CD_EDGE_ID", () => {
  it("is the key of a bucket's entry", async () => {
    for (const id of ["edge-1", "eu.west_2", "1", "a".repeat(100)]) assert.deepStrictEqual(await wrong({ CD_EDGE_ID: id }), [], id)
    for (const id of ["edge..1", ".edge", "edge.", "a/b", "a b", "a*", "é", "a".repeat(101)]) {
      const lines = await wrong({ CD_EDGE_ID: id })
      assert.strictEqual(lines.length, 1, id)
      assert.include(lines[0], "is no edge's id; give letters")
    }
  })

  it("is the machine's name by default, but not where processes share ports", async () => {
    assert.deepStrictEqual(await wrong({}), [])
    assert.deepStrictEqual(await wrong({ CD_EDGE_REUSE_PORT: "true", CD_EDGE_ID: "core-1" }), [])
    const [line, ...more] = await wrong({ CD_EDGE_REUSE_PORT: "true" })
    assert.match(line!, /^CD_EDGE_ID: is missing, and processes that share ports \(CD_EDGE_REUSE_PORT\) must not share an id; give /)
    assert.deepStrictEqual(more, [])
    // One mistake, one line.
    assert.deepStrictEqual(await wrong({ CD_EDGE_REUSE_PORT: "perhaps" }), [])
  })
})
