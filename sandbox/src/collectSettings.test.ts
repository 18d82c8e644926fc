import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { collectSettings, configurationPage } from "./collectSettings.ts"
import { configurationFile } from "./config.ts"
import { repositoryRoot } from "./DevDirectory.ts"

const declared = `
/** How many at once. */
export const Many = Config.Int("CD_MANY").pipe(Config.withDefault(1_000))

export const Plain = Config.all({
  /** Where it is. */
  url: Config.String("CD_URL"),
  /** How long it waits. */
  wait: Config.Duration("CD_WAIT").pipe(
    Config.withDefault(Duration.seconds(10))
  )
})

/** The one switch. */
const mode = Config.Literals(["a", "b"], "CD_SWITCH").pipe(Config.withDefault("a" as const))

/** A seed. */
const seed = (service: string) => Config.Redacted(\`CD_\${service.toUpperCase()}_SEED\`)

const naked = Config.String("CD_NAKED")
`

describe("collectSettings", () => {
  it("reads name, default and meaning from the declaration", () => {
    const root = mkdtempSync(join(tmpdir(), "connect-domain-settings-"))
    try {
      mkdirSync(join(root, "libs"))
      writeFileSync(join(root, "libs/declared.ts"), declared)
      const found = new Map(collectSettings(root).map((one) => [one.name, one]))
      const shown = ["CD_MANY", "CD_URL", "CD_WAIT", "CD_SWITCH", "CD_<SERVICE>_SEED", "CD_NAKED"].map((name) => {
        const { default: value, meaning } = found.get(name)!
        return [name, value, meaning]
      })
      assert.deepStrictEqual(shown, [
        ["CD_MANY", "1000", "How many at once."],
        ["CD_URL", undefined, "Where it is."],
        ["CD_WAIT", "10 seconds", "How long it waits."],
        ["CD_SWITCH", "a", "The one switch."],
        ["CD_<SERVICE>_SEED", undefined, "A seed."],
        ["CD_NAKED", undefined, ""]
      ])
    } finally {
      rmSync(root, { recursive: true, force: true })
    }
  })

  it("finds a meaning for every setting of this repository", () => {
    const naked = collectSettings(repositoryRoot).filter((one) => one.meaning === "")
    assert.deepStrictEqual(
      naked.map((one) => `${one.name} in ${one.places.join(", ")}`),
      []
    )
  })

  it("has written the documentation's table: './dev config --write' brings it up to date", () => {
    assert.strictEqual(readFileSync(configurationFile, "utf8"), configurationPage(collectSettings(repositoryRoot)))
  })
})
