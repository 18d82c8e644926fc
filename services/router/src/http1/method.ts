/**
 * Which methods go on to an origin, over either version of HTTP.
 *
 * Owns: the rule. Leaves to `Spellings.ts`: remembering what a spelling comes to, as a copy. Built against: two versions of HTTP with two rules, and a
 * method that is kept with a connection and keeps the head that it was cut from.
 */
import { isToken } from "./fields.ts"
import { type Refusal, refuse } from "./Refusal.ts"
import { Spellings } from "./Spellings.ts"

/** nginx reads no other methods than these; what only one of two readers understands is not forwarded. */
const form = /^[A-Z][A-Z_-]{0,31}$/

const methods = new Spellings<string | Refusal>(256, (method) => {
  if (!isToken(method, 0, method.length)) return refuse(400, "method")
  if (!form.test(method)) return refuse(501, "method-unknown")
  return method === "CONNECT" || method === "TRACE" ? refuse(405, "method-refused") : method
})

/** The method, or why it is refused. */
export const readMethod = (spelling: string): string | Refusal => methods.meaningOf(spelling)
