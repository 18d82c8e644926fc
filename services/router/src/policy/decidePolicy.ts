/**
 * What a hostname's settings answer before any origin is asked.
 *
 * Owns: the order: a redirect first (the other name has settings of its own), then maintenance. Port 80 is not decided here: challenges and the
 * way to HTTPS are answered whatever is set.
 */

import type { HostnameEntry } from "@connect-domain/messages/buckets.ts"
import { type Answer, redirectAnswer } from "../client/answers.ts"
import type { RequestHead } from "../http1/requestHead.ts"
import type { RequestId } from "../RequestId.ts"
import { policyAnswer } from "./errorPage.ts"
import type { Policy } from "./Policy.ts"
import { type Known, locationOf } from "./redirects.ts"

export interface PolicyAnswer {
  readonly answer: Answer
  readonly code: string
  readonly close: false
  readonly entry: HostnameEntry
}

const maintained = (retryAfter: number) => ({
  title: "Maintenance",
  message: "The site is being maintained. Please come back in a while.",
  retryAfter
})

/** Browsers keep a permanent redirect for ever unless told otherwise, and a vendor changes his mind. */
const kept = (status: number): string => (status === 301 || status === 308 ? "Cache-Control: max-age=300\r\n" : "")

/** Undefined: the request goes on to its origin. */
export const decidePolicy = (
  known: Known,
  entry: HostnameEntry,
  policy: Policy,
  head: RequestHead,
  requestId: RequestId
): PolicyAnswer | undefined => {
  if (policy.redirect !== undefined) {
    const location = locationOf(known, entry, policy.redirect, head)
    if (location !== undefined) {
      const answer = redirectAnswer(location, policy.redirect.status)
      return {
        answer: { ...answer, headers: answer.headers + kept(policy.redirect.status) + policy.hsts },
        code: "redirect-host",
        close: false,
        entry
      }
    }
  }
  if (policy.maintenance === undefined) return undefined
  const answer = policyAnswer(policy, head, 503, requestId, maintained(policy.maintenance.retry_after))
  return { answer, code: "maintenance", close: false, entry }
}
