import { createHmac } from "node:crypto"
import fc from "fast-check"
import { Webhook } from "standardwebhooks"
import { describe, expect, it } from "vitest"
import { newSecret, signatureHeaders } from "./Signature.ts"

const now = () => Math.floor(Date.now() / 1000)

/** Written from the documentation, not from the code: HMAC-SHA256 over `${timestamp}.${rawBody}` keyed by the secret's text. */
const verifyConnectDomain = (secret: string, headers: Record<string, string>, body: string, name = "x-cd-signature") => {
  const expected = createHmac("sha256", Buffer.from(secret, "utf8")).update(Buffer.from(`${headers["x-cd-timestamp"]}.${body}`, "utf8"))
  return headers[name] === `sha256=${expected.digest("hex")}`
}

describe("signatures", () => {
  it("pass the public Standard Webhooks verifier and the X-CD one, for any body", () => {
    fc.assert(
      fc.property(fc.uuid(), fc.string({ unit: "grapheme" }), (id, text) => {
        const secret = newSecret()
        const body = JSON.stringify({ text })
        const headers = signatureHeaders({ id, timestamp: now(), body, secrets: [secret] })
        expect(new Webhook(secret).verify(body, headers)).toEqual({ text })
        expect(verifyConnectDomain(secret, headers, body)).toBe(true)
        expect(headers).not.toHaveProperty("x-cd-signature-next")
      })
    )
  })

  it("sign empty and megabyte bodies", () => {
    for (const body of ["", JSON.stringify("ü".repeat(524_288))]) {
      const secret = newSecret()
      const headers = signatureHeaders({ id: "e", timestamp: now(), body, secrets: [secret] })
      expect(verifyConnectDomain(secret, headers, body)).toBe(true)
      if (body !== "") expect(() => new Webhook(secret).verify(body, headers)).not.toThrow()
    }
  })

  it("are refused when a byte of id, timestamp or body changes, or after five minutes", () => {
    const secret = newSecret()
    const body = '{"a":1}'
    const signed = { id: "evt", timestamp: now(), body, secrets: [secret] as const }
    const headers = signatureHeaders(signed)
    const verifier = new Webhook(secret)
    expect(() => verifier.verify('{"a":2}', headers)).toThrow()
    expect(() => verifier.verify(body, { ...headers, "webhook-id": "evu" })).toThrow()
    expect(() => verifier.verify(body, { ...headers, "webhook-timestamp": String(signed.timestamp + 1) })).toThrow()
    expect(() => verifier.verify(body, signatureHeaders({ ...signed, timestamp: now() - 301 }))).toThrow()
    expect(verifyConnectDomain(secret, { ...headers, "x-cd-timestamp": String(signed.timestamp - 1) }, body)).toBe(false)
  })

  it("carry both secrets while rotating: the old in X-CD-Signature, the new in -Next, both in webhook-signature", () => {
    const [old, fresh] = [newSecret(), newSecret()]
    const body = "{}"
    const headers = signatureHeaders({ id: "e", timestamp: now(), body, secrets: [old, fresh] })
    expect(verifyConnectDomain(old, headers, body)).toBe(true)
    expect(verifyConnectDomain(fresh, headers, body, "x-cd-signature-next")).toBe(true)
    for (const secret of [old, fresh]) expect(() => new Webhook(secret).verify(body, headers)).not.toThrow()
    expect(headers["webhook-signature"]?.split(" ")).toHaveLength(2)
  })

  it("hold fixed values for a fixed input", () => {
    const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    const headers = signatureHeaders({
      id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
      timestamp: 1614265330,
      body: '{"test": 2432232314}',
      secrets: [secret]
    })
    // From the Standard Webhooks test vectors.
    expect(headers["webhook-signature"]).toBe("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
  })
})
