/**
 * Trailer fields of a chunked body (RFC 9110 §6.5, RFC 9112 §7.1.2).
 *
 * Owns: which of them pass. Built against: a framing or authority field that enters behind the body and is merged into the head by the next reader.
 */
import { trailerField } from "./fieldNames.ts"
import { findForeignByte, lines, scanFields, stride } from "./fields.ts"
import { type Refusal, refuse } from "./Refusal.ts"

const options = { trimBeforeColon: false }

/** The lines that may be passed on, each with its CRLF. `text`: the whole section with the final empty line. */
export const readTrailers = (text: string): string | Refusal => {
  if (text === "\r\n") return ""
  const foreign = findForeignByte(text)
  if (foreign !== undefined) return foreign
  const found = scanFields(text, 0, options)
  if (typeof found !== "number") return found
  let kept = ""
  for (let slot = 0; slot < found * stride; slot += stride) {
    const verdict = trailerField(text.slice(lines[slot]!, lines[slot + 1]!))
    if (verdict === "forbidden") return refuse(400, "framing-in-trailer")
    if (verdict === "pass") kept += text.slice(lines[slot]!, lines[slot + 4]!)
  }
  return kept
}
