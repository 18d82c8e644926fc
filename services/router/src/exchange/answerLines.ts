/** The field lines of an origin's answer that are not the same for the visitor: the counterpart of `forwardHead.ts`. */
import { dateLine } from "../http1/dateLine.ts"
import type { RequestHead } from "../http1/requestHead.ts"
import type { ResponseHead } from "../http1/responseHead.ts"
import type { Origin } from "../origin/Origin.ts"
import { withHsts } from "../policy/hsts.ts"
import { withLocation } from "../policy/originLocation.ts"
import type { Policy } from "../policy/Policy.ts"

/** The way that the answer came. */
export interface AnswerWay {
  readonly origin: Origin
  readonly policy: Policy
}

/** Each with CRLF, without framing. RFC 9110 §6.6.1: an answer that has no Date gets that of its arrival. */
export const answerLines = ({ kept, dated }: ResponseHead, { origin, policy }: AnswerWay, asked: RequestHead): string => {
  const { hostOfOrigin, hsts } = policy
  const located = origin.prefix === "" && !hostOfOrigin ? kept : withLocation(kept, { origin, hostOfOrigin, asked })
  const lines = withHsts(located, hsts)
  return dated ? lines : lines + dateLine()
}
