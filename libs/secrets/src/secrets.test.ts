import { randomBytes } from "node:crypto"
import { ConfigProvider, Effect, Exit, Result } from "effect"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { type KeyRing, keyRing, parseKeyRing, sandboxKey } from "./KeyRing.ts"
import { makeVault, type Place } from "./Vault.ts"

const ringOf = (...ids: ReadonlyArray<string>): KeyRing => ({ first: ids[0]!, keys: new Map(ids.map((id) => [id, randomBytes(32)])) })
const place: Place = { tenant: "t1", table: "credentials", column: "sealed", row: "r1" }
const reasonOf = (result: Result.Result<unknown, { reason: string }>) => (Result.isFailure(result) ? result.failure.reason : "opened")

describe("vault", () => {
  const vault = makeVault(ringOf("a"))

  it("opens what it sealed, and seals nothing twice alike", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        const sealed = vault.seal(bytes, place)
        expect([...Result.getOrThrow(vault.open(sealed, place))]).toEqual([...bytes])
        expect(vault.seal(bytes, place)).not.toBe(sealed)
      }),
      { numRuns: 50 }
    )
    expect(Result.getOrThrow(vault.openText(vault.seal("grüße", place), place))).toBe("grüße")
  })

  it.each(["tenant", "table", "column", "row"] as const)("a value moved to another %s stays closed", (field) => {
    expect(reasonOf(vault.open(vault.seal("x", place), { ...place, [field]: "other" }))).toBe("Refused")
  })

  it("fields of a place can't be shifted into each other", () => {
    const sealed = vault.seal("x", { ...place, tenant: 'a","b', table: "c" })
    expect(reasonOf(vault.open(sealed, { ...place, tenant: "a", table: 'b","c' }))).toBe("Refused")
  })

  it("any flipped bit is refused", () => {
    const sealed = vault.seal("the secret", place)
    const [version, id, wrapped, body] = sealed.split(".") as [string, string, string, string]
    for (const part of [wrapped, body]) {
      const bytes = Buffer.from(part, "base64url")
      for (let index = 0; index < bytes.length; index++) {
        const altered = Buffer.from(bytes)
        altered[index]! ^= 1
        const text = altered.toString("base64url")
        const forged = part === wrapped ? [version, id, text, body] : [version, id, wrapped, text]
        expect(reasonOf(vault.open(forged.join("."), place))).toBe("Refused")
      }
    }
    for (const text of ["", "v1.a.b", "v2.a.bb.cc", "plain"]) expect(reasonOf(vault.open(text, place))).toBe("Malformed")
  })

  it("two rows' data keys can't be swapped", () => {
    const [one, two] = [vault.seal("1", place), vault.seal("2", { ...place, row: "r2" })].map((text) => text.split("."))
    expect(reasonOf(vault.open([one![0], one![1], two![2], one![3]].join("."), place))).toBe("Refused")
  })

  it("rotation: re-wrapped values open without the old key", () => {
    const old = ringOf("a")
    const both: KeyRing = { first: "b", keys: new Map([["b", randomBytes(32)], ...old.keys]) }
    const sealed = makeVault(old).seal("kept", place)
    const rewrapped = Result.getOrThrow(makeVault(both).rewrap(sealed))
    const after = makeVault({ first: "b", keys: new Map([["b", both.keys.get("b")!]]) })
    expect(Result.getOrThrow(after.openText(rewrapped, place))).toBe("kept")
    expect(reasonOf(after.open(sealed, place))).toBe("UnknownKey")
    expect(Result.getOrThrow(makeVault(both).rewrap(rewrapped))).toBe(rewrapped)
  })
})

describe("key ring", () => {
  const strong = randomBytes(32).toString("base64")
  const read = (env: Record<string, string>) =>
    Effect.runSyncExit(
      keyRing("CREDENTIAL_ENC_KEY").pipe(Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnvRecord(env)))
    )

  it("first seals, all open", () => {
    const ring = Result.getOrThrow(parseKeyRing(`new:${strong}, old:${randomBytes(32).toString("base64")}`))
    expect([ring.first, [...ring.keys.keys()]]).toEqual(["new", ["new", "old"]])
  })

  it.each(["", "x", "a:short", `a:${strong},a:${strong}`, `b d:${strong}`, `a:${strong}AAAA`])(
    "%j is refused without being repeated",
    (text) => {
      const result = parseKeyRing(text)
      expect(Result.isFailure(result)).toBe(true)
      if (Result.isFailure(result)) expect(result.failure).not.toContain(strong)
    }
  )

  it("production wants a key of its own; the sandbox has a default", () => {
    const sandboxDefault = Buffer.from(sandboxKey("EDGE_KEK")).toString("base64")
    expect(Exit.isSuccess(read({ CREDENTIAL_ENC_KEY: `k1:${strong}` }))).toBe(true)
    expect(Exit.isSuccess(read({ CD_MODE: "sandbox" }))).toBe(true)
    for (const env of [
      {},
      { CREDENTIAL_ENC_KEY: "" },
      { CREDENTIAL_ENC_KEY: "nonsense" },
      { CREDENTIAL_ENC_KEY: `k1:${sandboxDefault}` },
      { CREDENTIAL_ENC_KEY: `k1:${Buffer.alloc(32, 7).toString("base64")}` }
    ]) {
      const exit = read(env as Record<string, string>)
      expect(Exit.isFailure(exit) && String(exit.cause)).toContain("CREDENTIAL_ENC_KEY")
    }
  })
})
