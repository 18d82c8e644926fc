/** Where an origin's redirects lead its visitors: by a table, and never to another host than before or the visitor's own. */
import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import { readOrigin } from "../origin/Origin.ts"
import { visitorLocation, withLocation } from "./originLocation.ts"

const at = (url: string, hostOfOrigin = false, port = "") => ({
  origin: readOrigin("t", url)!,
  hostOfOrigin,
  asked: { host: "shop.example.org", port }
})
const prefixed = at("https://app.vendor.example/tenants/x")

describe("the Location of an origin", () => {
  it.each([
    ["/tenants/x/login?a=b#c", "https://shop.example.org/login?a=b#c"],
    ["/tenants/x", "https://shop.example.org/"],
    ["/tenants/x?a", "https://shop.example.org/?a"],
    ["https://app.vendor.example/tenants/x/login", "https://shop.example.org/login"],
    ["HTTPS://App.Vendor.example:443/tenants/x/login", "https://shop.example.org/login"],
    ["https://shop.example.org/tenants/x/login", "https://shop.example.org/login"],
    // Without a host of its own in front, this would lead to evil.example.
    ["/tenants/x//evil.example/", "https://shop.example.org//evil.example/"]
  ])("below the origin's path: %s becomes %s", (value, wanted) => {
    expect(visitorLocation(value, prefixed)).toBe(wanted)
  })

  it.each([
    "/login",
    "/tenants/xy",
    "/tenants/x/../y",
    "/tenants/x/%2e%2e/y",
    "/tenants/x;a/login",
    "login",
    "?a",
    "",
    "//app.vendor.example/tenants/x/a",
    "/\\app.vendor.example/tenants/x/a",
    "https://app.vendor.example/other",
    "http://app.vendor.example/tenants/x/login",
    "https://app.vendor.example:8443/tenants/x/login",
    "https://user@app.vendor.example/tenants/x/login",
    "https://app.vendor.example.evil.example/tenants/x/login",
    "https://accounts.example.net/tenants/x/login",
    "http://shop.example.org/tenants/x/login",
    "mailto:a@b.example"
  ])("elsewhere, or not for sure there: %s stays", (value) => {
    expect(visitorLocation(value, prefixed)).toBeUndefined()
  })

  it("of an origin without a path is its own affair, unless it is asked under its own name", () => {
    const own = "https://app.vendor.example/sso"
    expect(visitorLocation(own, at("https://app.vendor.example"))).toBeUndefined()
    expect(visitorLocation(own, at("https://app.vendor.example", true))).toBe("https://shop.example.org/sso")
    expect(visitorLocation("https://app.vendor.example?a", at("https://app.vendor.example", true))).toBe("https://shop.example.org/?a")
    expect(visitorLocation("/sso", at("https://app.vendor.example", true))).toBeUndefined()
    expect(visitorLocation("http://127.0.0.1:8080/a", at("http://127.0.0.1:8080", true))).toBe("https://shop.example.org/a")
    // From port 80 to the origin's own TLS port: the visitor would be sent round for ever.
    expect(visitorLocation("https://app.vendor.example/a", at("http://app.vendor.example", true))).toBeUndefined()
  })

  it("keeps the port that the visitor used", () => {
    expect(visitorLocation("/tenants/x/a", at("https://app.vendor.example/tenants/x", false, "8443"))).toBe(
      "https://shop.example.org:8443/a"
    )
    expect(visitorLocation("https://shop.example.org:8443/tenants/x/a", at("https://a.test/tenants/x", false, "8443"))).toBe(
      "https://shop.example.org:8443/a"
    )
    expect(visitorLocation("https://shop.example.org/tenants/x/a", at("https://a.test/tenants/x", false, "8443"))).toBeUndefined()
  })

  it("is the one line that changes", () => {
    const kept = "A: /tenants/x/1\r\nlocation: \t/tenants/x/2 \r\nContent-Location: /tenants/x/3\r\nX-Location: /tenants/x/4\r\n"
    expect(withLocation(kept, prefixed)).toBe(kept.replace("location: \t/tenants/x/2 \r\n", "location: https://shop.example.org/2\r\n"))
  })

  it("leads to the host that it led to before, or to the visitor's, whatever it is", () => {
    const piece = fc.constantFrom(
      ..."/\\.:@?#;% ",
      "//",
      "..",
      "http:",
      "https:",
      "/tenants/x",
      "app.vendor.example",
      "shop.example.org",
      "evil.example",
      "a"
    )
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 10 }), fc.boolean(), (pieces, hostOfOrigin) => {
        // As `withLocation` gives it: a field's value has no spaces around it (RFC 9110 §5.5).
        const value = pieces.join("").trim()
        const found = visitorLocation(value, at("https://app.vendor.example/tenants/x", hostOfOrigin))
        if (found === undefined) return
        const before = new URL(value, "https://shop.example.org/")
        const after = new URL(found)
        expect(after.host).toBe("shop.example.org")
        expect(["app.vendor.example", "shop.example.org"]).toContain(before.host)
        expect(before.pathname.startsWith("/tenants/x")).toBe(true)
      }),
      { numRuns: 2000 }
    )
  })
})
