import { makeAddressPolicy, parseNetwork } from "@connect-domain/egress/AddressPolicy.ts"
import { describe, expect, it } from "vitest"
import { eventsProblem, urlProblem } from "./endpointRules.ts"

const closed = makeAddressPolicy([])
const loopback = makeAddressPolicy([parseNetwork("127.0.0.0/8")!])

describe("endpoint rules", () => {
  it("accept https anywhere public, and http in the sandbox only", () => {
    expect(urlProblem("https://hooks.example.com/a?b=c", closed, "production")).toBeUndefined()
    expect(urlProblem("https://hooks.example.com:8443/", closed, "production")).toBeUndefined()
    expect(urlProblem("http://hooks.example.com/", closed, "production")).toContain("https://")
    expect(urlProblem("http://127.0.0.1:9/", loopback, "sandbox")).toBeUndefined()
  })

  it.each([
    "https://127.0.0.1/",
    "https://2130706433/",
    "https://0x7f.1/",
    "https://[::1]/",
    "https://[::ffff:169.254.169.254]/",
    "https://169.254.169.254/latest/meta-data",
    "https://10.1.2.3/",
    "https://user:secret@example.com/",
    "https://example.com/#x",
    "https://localhost/",
    "ftp://example.com/",
    " https://example.com/",
    "example.com",
    "",
    `https://example.com/${"a".repeat(2048)}`
  ])("refuse %s", (url) => {
    expect(urlProblem(url, closed, "production")).toBeTypeOf("string")
  })

  it("know the events", () => {
    expect(eventsProblem([])).toBeUndefined()
    expect(eventsProblem(["domain.added", "ssl.renewed"])).toBeUndefined()
    expect(eventsProblem(["domain.added", "domain.added"])).toContain("twice")
    expect(eventsProblem(["domain.*"])).toContain("no event")
  })
})
