/** Every requirement on certificates has a test that names it; a new requirement without one, or a test that was dropped, fails here. */
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"

const services = join(import.meta.dirname, "../../..")
const testFiles = (folder: string): ReadonlyArray<string> =>
  readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) return entry.name === "node_modules" ? [] : testFiles(path)
    return entry.name.endsWith(".test.ts") ? [path] : []
  })

/** Titles of `describe` and `it`: `A4: …`, `A1, A2: …`, `…; A13: …`. */
const titles = testFiles(services)
  .filter((path) => path !== import.meta.filename)
  .flatMap((path) =>
    [...readFileSync(path, "utf8").matchAll(/\b(?:it|it\.live|it\.effect|describe)\(\s*[`"']([^`"'\n]+)/g)].map((match) => match[1]!)
  )

describe("requirements on certificates", () => {
  for (let number = 1; number <= 15; number++) {
    it(`A${number} has a test`, () => {
      assert.isNotEmpty(titles.filter((title) => new RegExp(`\\bA${number}\\b[^:]*:`).test(title)))
    })
  }

  it("T1 has a test", () => assert.isNotEmpty(titles.filter((title) => /\bT1\b[^:]*:/.test(title))))
})
