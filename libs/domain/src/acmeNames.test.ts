/** Names that CAs look at, and whose delegation leads where. */
import { ConfigProvider, Effect } from "effect"
import fc from "fast-check"
import { expect, it } from "vitest"
import { acmeChallengeName, acmePersistName, delegationLabel, delegationTarget } from "./acmeNames.ts"
import { readAcmeZone } from "./acmeZone.ts"
import { uuidv7 } from "./uuidv7.ts"

it("a wildcard is proven at the name that it hangs on", () => {
  expect(acmeChallengeName("*.acme.com")).toBe("_acme-challenge.acme.com")
  expect(acmeChallengeName("shop.acme.com")).toBe("_acme-challenge.shop.acme.com")
  expect(acmePersistName("*.acme.com")).toBe("_validation-persist.acme.com")
})

it("D8: a delegation's label belongs to one tenant and one name, and is the same for x and *.x, today and tomorrow", () => {
  const [one, other] = [uuidv7(), uuidv7()]
  expect(delegationLabel(one, "acme.com")).toBe(delegationLabel(one, "*.acme.com"))
  // Customers have set it: it must never change.
  expect(delegationTarget("t", "acme.com", "acme.example.net")).toBe("l7qel57d5dvvu5mvaayogtbkbw.acme.example.net")
  fc.assert(
    fc.property(fc.domain(), fc.domain(), (name, another) => {
      const label = delegationLabel(one, name)
      expect(label).toMatch(/^[a-z2-7]{26}$/)
      expect(delegationLabel(other, name)).not.toBe(label)
      if (name !== another) expect(delegationLabel(one, another)).not.toBe(label)
    })
  )
})

it("our own zone is a full name, and not one that others register under", async () => {
  const read = (value: string) =>
    Effect.runPromise(
      Effect.result(Effect.provide(readAcmeZone, ConfigProvider.layer(ConfigProvider.fromEnvRecord({ CD_ACME_DNS_ZONE: value }))))
    )
  expect(await read("")).toMatchObject({ _tag: "Success", success: null })
  expect(await read("ACME.Vendor.example.")).toMatchObject({ _tag: "Success", success: "acme.vendor.example" })
  for (const wrong of ["*.vendor.example", "co.uk", "vendor", "not a name"]) expect(await read(wrong)).toMatchObject({ _tag: "Failure" })
})
