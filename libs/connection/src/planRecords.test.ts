import { Result } from "effect"
import { describe, expect, it } from "vitest"
import { checkRecords, planRecords, type Target } from "./planRecords.ts"

const edge = { edge: "edge.vendor.example", edge_addresses: ["192.0.2.1", "2001:db8::1"] }
const shop: Target = { hostname: "shop.example.com", apex: "example.com", kind: "subdomain", ...edge }
const apex: Target = { hostname: "example.com", apex: "example.com", kind: "apex", ...edge }

describe("planRecords", () => {
  it("gives a sub-domain one CNAME and an apex its addresses", () => {
    expect(planRecords(null, shop)).toEqual(
      Result.succeed([{ host: "shop.example.com", type: "CNAME", value: "edge.vendor.example", ttl: 300 }])
    )
    expect(planRecords({}, apex)).toEqual(
      Result.succeed([
        { host: "example.com", type: "A", value: "192.0.2.1", ttl: 300 },
        { host: "example.com", type: "AAAA", value: "2001:db8::1", ttl: 300 }
      ])
    )
  })

  it("fills a template's placeholders", () => {
    const template = {
      subdomain: [
        { host: "{hostname}", type: "cname", value: "{edge}", ttl: 60 },
        { host: "_vendor.{apex}", type: "TXT", value: "site={hostname}" },
        { host: "mail.{apex}", type: "MX", value: "mx.vendor.example", priority: 10 }
      ]
    }
    expect(Result.getOrThrow(planRecords(template, shop))).toEqual([
      { host: "shop.example.com", type: "CNAME", value: "edge.vendor.example", ttl: 60 },
      { host: "_vendor.example.com", type: "TXT", value: "site=shop.example.com", ttl: 300 },
      { host: "mail.example.com", type: "MX", value: "mx.vendor.example", ttl: 300, priority: 10 }
    ])
  })

  it.each([
    [{ host: "other.example.org", type: "A", value: "192.0.2.1" }, "record_template.subdomain[0].host"],
    [{ host: "notexample.com", type: "A", value: "192.0.2.1" }, "record_template.subdomain[0].host"],
    [{ host: "{hostname}", type: "BOGUS", value: "x" }, "record_template.subdomain[0].type"],
    [{ host: "{hostname}", type: "TXT", value: " " }, "record_template.subdomain[0].value"],
    [{ host: "{apex}", type: "CNAME", value: "{edge}" }, "record_template.subdomain[0].type"],
    [{ host: "{hostname}", type: "A", value: "192.0.2.1", ttl: 1.5 }, "record_template.subdomain[0].ttl"]
  ])("refuses %j", (record, field) => {
    const planned = planRecords({ subdomain: [record] }, shop)
    expect(Result.isFailure(planned) && planned.failure.field).toBe(field)
  })

  it("refuses a CNAME beside another record of its name", () => {
    const records = [
      { host: "shop.example.com", type: "CNAME" as const, value: "a.example", ttl: 1 },
      { host: "shop.example.com", type: "TXT" as const, value: "b", ttl: 1 }
    ]
    expect(Result.isFailure(checkRecords(records, shop, "dns_records"))).toBe(true)
  })
})
