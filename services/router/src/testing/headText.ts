/** The head that an origin gets, latin1. Throws when it needs more room than was said. */
import { type Forwarded, headRoom, putHead } from "../exchange/forwardHead.ts"

export const headText = (forwarded: Forwarded): string => {
  const out = Buffer.alloc(headRoom(forwarded))
  const length = putHead(out, forwarded)
  if (length > out.length) throw new RangeError(`${length} bytes, room for ${out.length}`)
  return out.toString("latin1", 0, length)
}
