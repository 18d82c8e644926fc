/** The pipeline's pure parts: routes, cursors, errors and their statuses, preconditions. */
import { randomBytes } from "node:crypto"
import { CallError } from "@connect-domain/nats/Calls.ts"
import { Effect } from "effect"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { errorBody, fromCall, statusOf } from "./ApiError.ts"
import { makeCursors, toPage } from "./Cursor.ts"
import { expectedVersion } from "./etag.ts"
import { RouteTable } from "./RouteTable.ts"

describe("routes", () => {
  const table = new RouteTable<string>()
    .add("POST", "/v1/domains:check", "check")
    .add("GET", "/v1/applications/:id", "read")
    .add("POST", "/v1/applications/:id/credentials/:credential_id:test", "test")
    .add("POST", "/v1/connections/:id/records:check", "records")

  it.each([
    ["POST", "/v1/domains:check", "check", {}],
    ["GET", "/v1/applications/7", "read", { id: "7" }],
    ["POST", "/v1/applications/a/credentials/b:test", "test", { id: "a", credential_id: "b" }],
    ["POST", "/v1/connections/x/records:check", "records", { id: "x" }]
  ])("%s %s", (method, path, route, params) => expect(table.find(method, path)).toEqual({ route, params }))

  it.each([
    ["GET", "/v1/domains:check"],
    ["POST", "/v1/domainsXYZ"],
    ["POST", "/v1/domains"],
    ["GET", "/v1/applications/"],
    ["GET", "/v1/applications/a:b"],
    ["GET", "/v1/applications/a/"],
    ["GET", "/v1/applications/a%2Fb"],
    ["POST", "/v1/applications/a/credentials/b"],
    ["POST", "/v1/applications/a/credentials/b:tests"],
    ["POST", "/v1/connections/x/recordsXcheck"],
    ["GET", "//v1/applications/a"],
    ["get", "/v1/applications/a"]
  ])("%s %s is nothing", (method, path) => expect(table.find(method, path)).toBeUndefined())
})

describe("cursors", () => {
  const cursors = makeCursors({ first: "a", keys: new Map([["a", randomBytes(32)]]) })
  const read = (tenant: string, list: string, cursor: string) =>
    Effect.runSync(
      Effect.match(cursors.read(tenant, list, cursor), { onSuccess: (position) => position, onFailure: (error) => error.code })
    )

  it("come back as they went, for the same tenant and list only", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", minLength: 1 }), (position) => {
        const cursor = cursors.write("t", "l", position)
        expect(cursor).toMatch(/^[A-Za-z0-9_-]+$/)
        expect(read("t", "l", cursor)).toBe(position)
        expect([read("u", "l", cursor), read("t", "m", cursor)]).toEqual(["invalid", "invalid"])
      })
    )
  })

  it("made-up ones are refused", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(read("t", "l", text)).toBe("invalid")
      })
    )
  })

  it("a page knows whether there is another", () => {
    expect(toPage([1, 2, 3], 2, String)).toEqual({ data: [1, 2], next_cursor: "2" })
    expect(toPage([1, 2], 2, String)).toEqual({ data: [1, 2], next_cursor: null })
    expect(toPage([], 2, String)).toEqual({ data: [], next_cursor: null })
  })
})

describe("errors", () => {
  it.each([
    [[{ field: "url", message: "no" }], [{ field: "url", message: "no" }]],
    [{ field: "url", message: "no" }, [{ field: "url", message: "no" }]],
    [{ fields: [{ field: "url", message: "no" }] }, [{ field: "url", message: "no" }]],
    [{ url: "no" }, [{ field: "url", message: "no" }]],
    [{ field: "url" }, [{ field: "url", message: "wrong" }]],
    [undefined, []]
  ])("field problems of other services take one form: %j", (details, wanted) => {
    expect(fromCall(new CallError({ code: "invalid", message: "wrong", details })).details).toEqual(wanted)
  })

  it("the message names the field too, once", () => {
    const message = (text: string) => fromCall(new CallError({ code: "invalid", message: text, details: { field: "certificate" } })).message
    expect(message("ended on Monday")).toBe("certificate: ended on Monday")
    expect(message("certificate: ended on Monday")).toBe("certificate: ended on Monday")
  })

  it("codes that are not the API's are internal, and say nothing", () => {
    for (const code of ["internal", "toString", "constructor", "made_up"]) {
      const error = fromCall(new CallError({ code, message: "secret", details: { secret: 1 } }))
      expect(JSON.stringify(errorBody(error, "r"))).toBe(
        '{"error":{"code":"internal","message":"internal error","details":null,"request_id":"r"}}'
      )
    }
    expect(Object.values(statusOf).every((status) => status >= 400 && status < 600)).toBe(true)
  })
})

it("If-Match: a version, anything, or never", () => {
  const expected = (header: string | undefined) =>
    Effect.runSync(Effect.match(expectedVersion(header), { onSuccess: (version) => version, onFailure: (error) => error.code }))
  expect([undefined, "*", '"7"', ' "7" '].map(expected)).toEqual([null, null, 7, 7])
  for (const header of ["", "7", 'W/"7"', '"x"', '"1", "2"']) expect(expected(header)).toBe("precondition_failed")
})
