/** The field lines of an origin's answer that are not the same for the visitor: the counterpart of `forwardHead.ts`. */
import type { RequestHead } from "../http1/requestHead.ts"
import type { Origin } from "../origin/Origin.ts"
import { withHsts } from "../policy/hsts.ts"
import { withLocation } from "../policy/originLocation.ts"
import type { Policy } from "../policy/Policy.ts"

/** The way that the answer came. */
export interface AnswerWay {
  readonly origin: Origin
  readonly policy: Policy
}

/** `kept`: as the origin sent them, each with CRLF. */
export const answerLines = (kept: string, { origin, policy }: AnswerWay, asked: RequestHead): string => {
  const { hostOfOrigin, hsts } = policy
  const located = origin.prefix === "" && !hostOfOrigin ? kept : withLocation(kept, { origin, hostOfOrigin, asked })
  return withHsts(located, hsts)
}
