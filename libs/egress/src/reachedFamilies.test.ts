/** The memory of families is bounded, and only a name that is new to it costs the others theirs. */
import type { LookupAddress } from "node:dns"
import { describe, expect, it } from "vitest"
import { inOrder, reachedBy } from "./reachedFamilies.ts"

const found: ReadonlyArray<LookupAddress> = [
  { address: "2001:db8::1", family: 6 },
  { address: "192.0.2.1", family: 4 }
]
const first = (host: string) => inOrder(host, found)[0]!.family

describe("the family that a name was reached by", () => {
  it("comes first, and is what was seen last", () => {
    expect(first("new.test")).toBe(6)
    reachedBy("known.test", "IPv4")
    expect(first("known.test")).toBe(4)
    reachedBy("known.test", undefined)
    expect(first("known.test")).toBe(4)
    reachedBy("known.test", "IPv6")
    expect(first("known.test")).toBe(6)
  })

  it("is kept when the memory is full and a known name is reached again, and forgotten for a new one", () => {
    // Until the first name of this loop is forgotten: the memory was emptied, whatever was in it before.
    const fill = (from: number) => {
      reachedBy(`host${from}.test`, "IPv4")
      let at = from
      while (first(`host${from}.test`) === 4) reachedBy(`host${++at}.test`, "IPv4")
      return at
    }
    const begun = fill(0)
    const size = fill(begun) - begun
    expect(size).toBe(4096)
    const last = begun + 2 * size - 1
    for (let at = begun + size + 1; at <= last; at++) reachedBy(`host${at}.test`, "IPv4")
    reachedBy(`host${last}.test`, "IPv4")
    expect(first(`host${begun + size}.test`)).toBe(4)
    reachedBy("one-more.test", "IPv4")
    expect(first(`host${begun + size}.test`)).toBe(6)
    expect(first("one-more.test")).toBe(4)
  })
})
