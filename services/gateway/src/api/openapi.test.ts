import { readFileSync } from "node:fs"
import { describe, expect, it } from "vitest"
import { parse } from "yaml"
import { statusOf } from "../http/ApiError.ts"
import { makeOpenapi } from "./openapi.ts"
import { openapiFile, openapiText } from "./writeOpenapi.ts"

interface Operation {
  readonly operationId: string
  readonly "x-scopes": ReadonlyArray<string> | "any"
  readonly responses: Readonly<Record<string, unknown>>
}

const document = parse(readFileSync(openapiFile, "utf8"))

describe("openapi-v1.yaml", () => {
  it("is what the definition says", () => {
    expect(readFileSync(openapiFile, "utf8")).toBe(openapiText())
  })

  it("every reference leads somewhere, every operation has its own id, scopes and error answers", () => {
    for (const [, target] of JSON.stringify(document).matchAll(/"#\/components\/schemas\/([^"]+)"/g)) {
      expect(Object.keys(document.components.schemas)).toContain(target)
    }
    const operations = Object.values(document.paths as Record<string, Record<string, Operation>>).flatMap((path) => Object.values(path))
    expect(new Set(operations.map((operation) => operation.operationId)).size).toBe(operations.length)
    for (const operation of operations) {
      expect(operation["x-scopes"] === "any" || operation["x-scopes"].length > 0).toBe(true)
      for (const status of ["400", "401", "403", "429", "500", "503"]) expect(operation.responses).toHaveProperty(status)
    }
    const statuses = new Set(operations.flatMap((operation) => Object.keys(operation.responses)))
    for (const status of Object.values(statusOf)) expect(statuses).toContain(String(status))
  })

  it("has the calls of the product's table and no others", () => {
    const calls = Object.entries(makeOpenapi().paths as Record<string, object>).flatMap(([path, item]) =>
      Object.keys(item).map((method) => `${method.toUpperCase()} ${path}`)
    )
    expect(calls.sort()).toMatchSnapshot()
  })
})
