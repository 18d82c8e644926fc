/**
 * JSON as requests may use it (requirement P13): RFC 8259 without what makes two parsers disagree or a store choke.
 *
 * Owns: refusing duplicate keys, `__proto__`, too deep or too wide documents, NUL characters and lone surrogates (Postgres stores neither).
 * Leaves to `JSON.parse`: the grammar. One pass over a text that is known to be valid JSON.
 */
import { Result } from "effect"
import type { FieldProblem } from "./ApiError.ts"

const maxDepth = 16
const maxMembers = 2_000

const whole = (message: string): Result.Result<never, FieldProblem> => Result.fail({ field: "body", message })

export const parseStrictJson = (text: string): Result.Result<unknown, FieldProblem> => {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return whole("must be valid JSON")
  }
  const problem = scan(text)
  return problem === undefined ? Result.succeed(value) : Result.fail(problem)
}

interface Frame {
  readonly keys: Set<string> | undefined
  /** What the next string is: a member's name, or a value. */
  expectsKey: boolean
  label: string
  index: number
}

const pathOf = (frames: ReadonlyArray<Frame>): string =>
  frames.reduce(
    (path, frame) => (frame.keys === undefined ? `${path}[${frame.index}]` : path === "" ? frame.label : `${path}.${frame.label}`),
    ""
  )

/** The end of the string that starts at `start`, at its closing quote. */
const stringEnd = (text: string, start: number): number => {
  let index = start + 1
  while (text[index] !== '"') index += text[index] === "\\" ? 2 : 1
  return index
}

const scan = (text: string): FieldProblem | undefined => {
  const frames: Array<Frame> = []
  let members = 0
  for (let index = 0; index < text.length; index++) {
    const char = text[index]
    const top = frames[frames.length - 1]
    if (char === '"') {
      const end = stringEnd(text, index)
      const content: string = JSON.parse(text.slice(index, end + 1))
      index = end
      if (top?.keys !== undefined && top.expectsKey) {
        top.label = content
        top.expectsKey = false
        if (content === "__proto__") return { field: "__proto__", message: "is not allowed" }
        if (top.keys.has(content)) return { field: pathOf(frames), message: "is given twice" }
        top.keys.add(content)
      }
      if (content.includes("\u0000") || !content.isWellFormed())
        return { field: pathOf(frames) || "body", message: "contains a character that is not allowed" }
    } else if (char === "{" || char === "[") {
      frames.push({ keys: char === "{" ? new Set() : undefined, expectsKey: char === "{", label: "", index: 0 })
      if (frames.length > maxDepth) return { field: "body", message: `is nested deeper than ${maxDepth} levels` }
    } else if (char === "}" || char === "]") {
      frames.pop()
    } else if (char === "," && top !== undefined) {
      top.expectsKey = top.keys !== undefined
      top.index++
    }
    if ((char === "," || char === ":") && ++members > maxMembers) return { field: "body", message: "has too many members" }
  }
  return undefined
}
