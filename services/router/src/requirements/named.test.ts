/** The requirements that the edge answers for, each with a test whose title begins with its number, that runs and does something. */
import { globSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "vitest"

const root = join(import.meta.dirname, "../../../..")
const required = [...Array.from({ length: 18 }, (_, at) => `E${at + 1}`), "D8", "A11", "A13", "A14"]

const withoutComments = (source: string) => source.replace(/^\s*(?:\/\/.*|\/\*[\s\S]*?\*\/)$/gm, "")

/** `it("E4: …`, `describe("E1, E2: …`, `it.each([…])("E5: …`. */
const title = /\(\s*(["'`])((?:[A-Z][0-9]+(?:, )?)+):(?:\\.|(?!\1)[^\\])*\1/g
const options = String.raw`(?:\{[^{}]*\}\s*,\s*)?`
const nothing = String.raw`(?:=>\s*)?\{\s*\}|=>\s*(?:undefined|null|true|void 0|Effect\.void)\s*[,)]`
/** What stands behind the title of a test that does nothing. */
const idle = new RegExp(String.raw`^\s*,?\s*(?:\)|${options}(?:async\s*)?(?:function\s*)?(?:\([^()]*\)|\w+)\s*(?:${nothing}))`)

/** Numbers of every title whose test has a body. */
const numbersOf = (source: string): ReadonlyArray<string> => {
  const text = withoutComments(source)
  const titles = [...text.matchAll(title)].filter((found) => !idle.test(text.slice(found.index + found[0].length)))
  return titles.flatMap((found) => found[2]!.split(", "))
}

/** Whatever keeps a test from running, keeps others from it, or turns its verdict round. */
const notRun = /\.(?:skip|todo|only|fails|skipIf|runIf)\b\s*[.(]|\bx(?:it|test|describe)\s*[.(]|\b(?:skip|todo|only|fails)\s*:\s*(?:true|!)/

describe("requirements", () => {
  const files = globSync("{services/router,services/certifier,e2e}/**/*.test.ts", {
    cwd: root,
    exclude: (name) => name.includes("node_modules")
  })
  const sources = files
    .filter((file) => !file.endsWith("named.test.ts"))
    .map((file) => ({ file, source: readFileSync(join(root, file), "utf8") }))
  const named = new Set(sources.flatMap(({ source }) => numbersOf(source)))

  it.each(required)("%s has a test of its name", (number) => {
    expect([...named]).toContain(number)
  })

  it("every test runs", () => {
    expect(sources.filter(({ source }) => notRun.test(withoutComments(source))).map(({ file }) => file)).toEqual([])
  })
})

describe("what counts as a test of its name", () => {
  it.each([
    'it("E4: a", () => {\n  expect(1).toBe(1)\n})',
    "it.live('E4: it\\'s a', () =>\n  Effect.gen(function* () {}))",
    'it.each([1, 2])("E4, E5: a %i", async (one) => {\n  // why\n  await check(one)\n})',
    'describe("E4: all of it", () => {\n  it("a", () => {})\n})',
    'it("E4: a", { timeout: 5 }, () => check({}))'
  ])("%j does", (source) => {
    expect(numbersOf(source)).toContain("E4")
    expect(source).not.toMatch(notRun)
  })

  it.each([
    'it("E4: a", () => {})',
    'it("E4: a", async () => {\n  // later\n})',
    'it("E4: a", async ({ task }) => {\n  /* later */\n})',
    'it("E4: a", { timeout: 5 }, () => {})',
    'it("E4: a", function () {})',
    'it("E4: a", () => undefined)',
    'it("E4: a")',
    '  // it("E4: a", () => {\n  //   expect(1).toBe(1)\n  // })',
    '/* it("E4: a", () => check()) */'
  ])("%j doesn't", (source) => {
    expect(numbersOf(source)).toEqual([])
  })

  it.each([
    'it.skip("E4: a", () => check())',
    'it.todo("E4: a")',
    'describe.only("E4: a", () => check())',
    'it.fails("E4: a", () => check())',
    'it.skip.each([1])("E4: a", () => check())',
    'it.concurrent.skip("E4: a", () => check())',
    'it.skipIf(process.env.CI)("E4: a", () => check())',
    'it.runIf(false)("E4: a", () => check())',
    'xit("E4: a", () => check())',
    'it("E4: a", { skip: true }, () => check())',
    'it("E4: a", { fails: !ready }, () => check())',
    'it("E4: a", (context) => {\n  context.skip()\n})'
  ])("%j is refused", (source) => {
    expect(source).toMatch(notRun)
  })
})
