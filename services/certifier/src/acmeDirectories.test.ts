/** Settings with one value for every CA, or one for each. */
import { assert, describe, it } from "@effect/vitest"
import { perDirectory } from "./acmeDirectories.ts"

const live = ["https://a.example/dir", "https://b.example/dir"]

describe("perDirectory", () => {
  it("one value is for all, test CAs included; several stand in the order of the live ones; an empty one is the CA's own", () => {
    const of = (text: string) => [...live, "https://test.example/dir"].map(perDirectory(text, live))
    assert.deepStrictEqual(of("shortlived"), ["shortlived", "shortlived", "shortlived"])
    assert.deepStrictEqual(of("shortlived, tlsserver"), ["shortlived", "tlsserver", undefined])
    assert.deepStrictEqual(of(",tlsserver"), [undefined, "tlsserver", undefined])
    assert.deepStrictEqual(of(""), [undefined, undefined, undefined])
  })
})
