/** The field lines of an origin's answer that are not the same for the visitor: the counterpart of `forwardHead.ts`. */
import { dateLine } from "../http1/dateLine.ts"
import type { RequestHead } from "../http1/requestHead.ts"
import type { ResponseHead } from "../http1/responseHead.ts"
import type { Origin } from "../origin/Origin.ts"
import { withHsts } from "../policy/hsts.ts"
import { withLocation } from "../policy/originLocation.ts"
import type { Policy } from "../policy/Policy.ts"

/** Whether there is a Content-Length; -1: none is known. RFC 9110 §8.6: none in an answer of 204. */
export const hasLength = (status: number, length: number): boolean => length >= 0 && status !== 204

/** The way that the answer came. */
export interface AnswerWay {
  readonly origin: Origin
  readonly policy: Policy
}

/**
 * What stands behind those of `passed`, each with CRLF, without framing. Where one of these must change, all are taken out of `passed` and stand here.
 * RFC 9110 §6.6.1: an answer that has no Date gets that of its arrival.
 */
export const answerLines = ({ passed, dated }: ResponseHead, { origin, policy }: AnswerWay, asked: RequestHead): string => {
  const { hostOfOrigin, hsts } = policy
  const date = dated ? "" : dateLine()
  const located = origin.prefix !== "" || hostOfOrigin
  if (!located && hsts === "") return date
  const kept = passed.takeText()
  return withHsts(located ? withLocation(kept, { origin, hostOfOrigin, asked }) : kept, hsts) + date
}
