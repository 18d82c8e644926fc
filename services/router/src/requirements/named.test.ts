/** The requirements that the edge answers for, each with a test whose title begins with its number. Fails when one has none. */
import { globSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "vitest"

const root = join(import.meta.dirname, "../../../..")
const required = [...Array.from({ length: 18 }, (_, at) => `E${at + 1}`), "D8", "A11", "A13", "A14"]

/** `it("E4: …`, `describe("E1, E2: …`, `it.each([…])("E5: …`: numbers of every title. */
const numbersOf = (source: string): ReadonlyArray<string> =>
  [...source.matchAll(/\(\s*["'`]((?:[A-Z][0-9]+(?:, )?)+):/g)].flatMap((title) => title[1]!.split(", "))

describe("requirements", () => {
  const files = globSync("{services/router,services/certifier,e2e}/**/*.test.ts", {
    cwd: root,
    exclude: (name) => name.includes("node_modules")
  })
  const named = new Set(
    files.filter((file) => !file.endsWith("named.test.ts")).flatMap((file) => numbersOf(readFileSync(join(root, file), "utf8")))
  )

  it.each(required)("%s has a test of its name", (number) => {
    expect([...named]).toContain(number)
  })
})
