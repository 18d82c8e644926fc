/** What is sealed for the certifier opens there alone, in its place alone. */
import { randomBytes } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { parseKeyRing } from "./KeyRing.ts"
import { importedKeyPlace, makeOpener, sealFor } from "./PublicSeal.ts"

const entry = (id: string) => `${id}:${randomBytes(32).toString("base64")}`
const ringOf = (text: string) => Result.getOrThrow(parseKeyRing(text))
const reason = <A>(result: Result.Result<A, { readonly reason: string }>) => (Result.isFailure(result) ? result.failure.reason : "opened")
const place = importedKeyPlace("c1")

describe("PublicSeal", () => {
  it("opens with the private half, differs at each call, and holds no plaintext", () => {
    // As long as a whole number of base64 groups: unencrypted, it would stand in the sealed text letter for letter.
    const secret = "a secret key"
    const opener = makeOpener(ringOf(entry("a")))
    const [one, two] = [sealFor(opener.publicHalf, secret, place), sealFor(opener.publicHalf, secret, place)]
    assert.notStrictEqual(one, two)
    assert.notInclude(one, Buffer.from(secret).toString("base64url"))
    assert.strictEqual(Result.getOrThrow(opener.openText(one, place)), secret)
  })

  it("refuses another place, another ring, an altered or cut text", () => {
    const opener = makeOpener(ringOf(entry("a")))
    const sealed = sealFor(opener.publicHalf, "secret key", place)
    assert.strictEqual(reason(opener.openText(sealed, importedKeyPlace("c2"))), "Refused")
    assert.strictEqual(reason(makeOpener(ringOf(entry("a"))).openText(sealed, place)), "Refused")
    assert.strictEqual(reason(makeOpener(ringOf(entry("b"))).openText(sealed, place)), "UnknownKey")
    const flipped = `${sealed.slice(0, -4)}${sealed.at(-4) === "A" ? "B" : "A"}${sealed.slice(-3)}`
    assert.strictEqual(reason(opener.openText(flipped, place)), "Refused")
    assert.strictEqual(reason(opener.openText("x1.a.b.c", place)), "Malformed")
  })

  it("a rotated ring opens what was sealed before, and hands out its new half", () => {
    const old = entry("old")
    const before = makeOpener(ringOf(old))
    const after = makeOpener(ringOf(`${entry("new")},${old}`))
    assert.strictEqual(after.publicHalf.key_id, "new")
    assert.strictEqual(Result.getOrThrow(after.openText(sealFor(before.publicHalf, "k", place), place)), "k")
  })
})
