/**
 * Query and body against an endpoint's schemas: every wrong field named, all at once, unknown ones refused.
 *
 * Owns: turning schema issues into `{field, message}`. Leaves to the definitions: the schemas. Never repeats a value: it may be a secret.
 */
import { Result, Schema, SchemaIssue } from "effect"
import type { FieldProblem } from "./ApiError.ts"

const format = SchemaIssue.makeFormatterStandardSchemaV1()

type Path = ReadonlyArray<PropertyKey | { readonly key: PropertyKey }> | undefined

const fieldOf = (path: Path): string =>
  (path ?? []).reduce<string>((text, part) => {
    const key = typeof part === "object" ? part.key : part
    return typeof key === "number" ? `${text}[${key}]` : text === "" ? String(key) : `${text}.${String(key)}`
  }, "")

/** The schema library's words in a caller's. */
const wording = (message: string): string =>
  message
    .replace(/^Expected no excess property.*$/s, "is not a field of this request")
    .replace(/^Missing key$/, "is required")
    .replace(/^Expected a required property.*$/s, "is required")
    .replace(/^Expected /, "must be ")

export type Decoder = (input: unknown) => Result.Result<unknown, ReadonlyArray<FieldProblem>>

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null && !Array.isArray(value)
const notAnObject = Result.fail([{ field: "body", message: "must be a JSON object" }])

/** The schema library lets anything pass as an empty struct. */
const isEmpty = ({ ast }: Schema.Top): boolean =>
  ast._tag === "Objects" && ast.propertySignatures.length === 0 && ast.indexSignatures.length === 0
const decodeNothing: Decoder = (input) => {
  if (!isObject(input)) return notAnObject
  const unknown = Object.keys(input).map((field) => ({ field, message: "is not a field of this request" }))
  return unknown.length === 0 ? Result.succeed({}) : Result.fail(unknown)
}

/** `place` names the whole when it is wrong as such: `body` or `query`. Make it once per endpoint. */
export const makeDecoder = (schema: Schema.Top, place: "body" | "query"): Decoder => {
  if (isEmpty(schema)) return decodeNothing
  const decode = Schema.decodeUnknownResult(schema as Schema.Codec<unknown>, { errors: "all", onExcessProperty: "error" })
  return (input) => {
    if (!isObject(input)) return notAnObject
    const decoded = decode(input)
    if (Result.isSuccess(decoded)) return Result.succeed(decoded.success)
    const issues = format(decoded.failure.issue).issues
    return Result.fail(issues.map((issue) => ({ field: fieldOf(issue.path as Path) || place, message: wording(issue.message) })))
  }
}

/** A query string as an object; a parameter that comes twice, or is not UTF-8, is refused by name. */
export const parseQuery = (search: string): Result.Result<Record<string, string>, ReadonlyArray<FieldProblem>> => {
  const query: Record<string, string> = Object.create(null)
  const problems: Array<FieldProblem> = []
  for (const [name, value] of new URLSearchParams(search)) {
    if (name in query) problems.push({ field: name, message: "is given twice" })
    else if (value.includes("\u0000") || value.includes("\ufffd"))
      problems.push({ field: name, message: "contains a character that is not allowed" })
    query[name] = value
  }
  return problems.length > 0 ? Result.fail(problems) : Result.succeed({ ...query })
}
