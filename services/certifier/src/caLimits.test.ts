/** What each limit is counted under. */
import { describe, expect, it } from "vitest"
import { keyFor, type Limit } from "./caLimits.ts"

const limit = (per: Limit["per"]): Limit => ({ name: per, per, counts: "orders", max: 1, window_seconds: 60 })

describe("A3: what a limit is counted under", () => {
  it("a wildcard counts for the domain and the name that it hangs on, and is a set of names of its own", () => {
    expect(keyFor(limit("registered-domain"), ["*.shop.example.co.uk"])).toBe("example.co.uk")
    expect(keyFor(limit("registered-domain"), ["shop.example.co.uk"])).toBe("example.co.uk")
    expect(keyFor(limit("registered-domain"), ["*.localhost"])).toBe("localhost")
    expect(keyFor(limit("name"), ["*.shop.example.com"])).toBe("shop.example.com")
    expect(keyFor(limit("names"), ["*.shop.example.com"])).toBe("*.shop.example.com")
    expect(keyFor(limit("account"), ["*.shop.example.com"])).toBe("")
  })
})
