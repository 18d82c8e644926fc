/**
 * How far an OPTIONS may still go (RFC 9110 §7.6.2). TRACE, the other method that has such a limit, is refused.
 *
 * Owns: reading and lowering Max-Forwards. Leaves to `decideTls`: the answer to a request that may go no further.
 */
import { type Refusal, refuse } from "./Refusal.ts"

const line = /^max-forwards:[ \t]*(.*?)[ \t]*\r\n/gim
const digits = /^[0-9]{1,9}$/

export interface Limited {
  /** The field lines, the limit in them lowered by this hop. */
  readonly kept: string
  /** The limit was 0: the request is answered here. */
  readonly lastHop: boolean
}

/** `kept`: field lines of an OPTIONS, each with CRLF. */
export const lowerMaxForwards = (kept: string): Limited | Refusal => {
  const [found, second] = [...kept.matchAll(line)]
  if (found === undefined) return { kept, lastHop: false }
  const value = found[1]!
  if (second !== undefined || !digits.test(value)) return refuse(400, "max-forwards")
  const left = Number(value)
  return { kept: kept.replace(line, `Max-Forwards: ${Math.max(0, left - 1)}\r\n`), lastHop: left === 0 }
}
