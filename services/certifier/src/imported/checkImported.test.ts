/** What may be uploaded, and what is said of what may not: the field and the way out. */
import { createPrivateKey, X509Certificate } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { keyTypes, makeAuthority } from "../../test/madeCertificate.ts"
import { splitChain } from "../acme/certificateFacts.ts"
import { checkImported } from "./checkImported.ts"

const name = "shop.example.com"
const day = 86_400_000
const now = new Date()
const authority = await makeAuthority()
const good = await authority.leaf({ names: [name] })
const check = (certificate: string, privateKey: string, hostname = name) => checkImported({ certificate, privateKey }, hostname, now)
const wrong = (certificate: string, privateKey: string, hostname = name) => {
  const result = check(certificate, privateKey, hostname)
  return Result.isFailure(result) ? `${result.failure.field} ${result.failure.message}` : "taken"
}
const full = (leaf: string) => [leaf, authority.intermediatePem].join("\n")

describe("imported certificates", () => {
  it("any order, with root and repetitions: leaf first, root left out", () => {
    const { intermediatePem, rootPem } = authority
    for (const order of [
      [good.pem, intermediatePem],
      [intermediatePem, good.pem],
      [rootPem, intermediatePem, good.pem, good.pem]
    ]) {
      const { chain, keyPem, facts } = Result.getOrThrow(check(order.join("\n"), good.keyPem))
      assert.deepStrictEqual(
        splitChain(chain).map((pem) => new X509Certificate(pem).subject),
        [`CN=${name}`, "CN=Test R1\nO=Test Trust"]
      )
      assert.isTrue(new X509Certificate(chain).checkPrivateKey(createPrivateKey(keyPem)))
      assert.deepStrictEqual([...facts.names], [name])
    }
  })

  it("EC P-256, P-384 and RSA from 2048 bits; nothing else", async () => {
    for (const key of Object.keys(keyTypes) as Array<keyof typeof keyTypes>) {
      const leaf = await authority.leaf({ names: [name], key })
      const answer = wrong(full(leaf.pem), leaf.keyPem)
      if (key === "p521" || key === "rsa1024") assert.match(answer, /^private_key is of a kind/)
      else assert.strictEqual(answer, "taken")
    }
  })

  it("a wildcard covers one label; a wildcard connection wants the wildcard itself", async () => {
    const wild = await authority.leaf({ names: ["*.example.com"] })
    assert.strictEqual(wrong(full(wild.pem), wild.keyPem), "taken")
    assert.strictEqual(wrong(full(wild.pem), wild.keyPem, "*.example.com"), "taken")
    assert.match(wrong(full(wild.pem), wild.keyPem, "a.b.example.com"), /^certificate does not cover a\.b\.example\.com/)
    assert.match(wrong(full(good.pem), good.keyPem, "*.example.com"), /does not cover/)
    assert.match(wrong(full(good.pem), good.keyPem, "other.example.com"), /it is for shop\.example\.com/)
  })

  it("each bad input names the field and the way out", async () => {
    const other = await authority.leaf({ names: [name] })
    const expired = await authority.leaf({ names: [name], from: Date.now() - 20 * day, to: Date.now() - day })
    const early = await authority.leaf({ names: [name], from: Date.now() + day })
    const client = await authority.leaf({ names: [name], usage: "1.3.6.1.5.5.7.3.2" })
    const own = await authority.selfSigned({ names: [name] })
    const stranger = await makeAuthority("Other")
    const cases: ReadonlyArray<readonly [string, string, RegExp]> = [
      [full(good.pem), other.keyPem, /^private_key belongs to none/],
      [full(good.pem), "nonsense", /^private_key holds no PEM private key/],
      [full(good.pem), good.keyPem.replace(/[A-Za-z0-9+/]{20}\n-----END/, "\n-----END"), /^private_key can't be read/],
      [full(good.pem), good.keyPem + good.keyPem, /^private_key holds more than one/],
      [full(good.pem), "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAA==\n-----END ENCRYPTED PRIVATE KEY-----", /^private_key is encrypted/],
      ["nonsense", good.keyPem, /^certificate holds no PEM certificate/],
      [`${full(good.pem)}\n${good.keyPem}`, good.keyPem, /^certificate holds a private key/],
      ["-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", good.keyPem, /^certificate number 1 can't be read/],
      [full(expired.pem), expired.keyPem, /^certificate ended on/],
      [full(early.pem), early.keyPem, /^certificate is not valid before/],
      [full(client.pem), client.keyPem, /^certificate is not for servers/],
      [own.pem, own.keyPem, /^certificate is self-signed/],
      [good.pem, good.keyPem, /^certificate lacks the intermediate .*full chain/],
      [[full(good.pem), stranger.intermediatePem].join("\n"), good.keyPem, /^certificate holds one that belongs to no chain.*Other R1/],
      ["x".repeat(70_000), good.keyPem, /^certificate is too long/]
    ]
    for (const [certificate, key, expected] of cases) assert.match(wrong(certificate, key), expected)
  })
})
