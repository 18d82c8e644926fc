/**
 * The edge's own answers as the vendor wants them to look.
 *
 * Owns: filling a vendor's template, and the fields that go with every own answer of a hostname. Leaves to `answers.ts`: the words. JSON is never
 * replaced: programs read it. Built against: a value that becomes markup (each is escaped), and a page that runs scripts or talks to others in
 * the customer's name (the policy that it is served with).
 */

import { type Answer, errorAnswer, type Saying, sayingOf } from "../client/answers.ts"
import type { RequestId } from "../RequestId.ts"
import { noPolicy, type Policy } from "./Policy.ts"

/** Styles and pictures, nothing that acts. */
export const contentSecurityPolicy =
  "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; img-src https: data:; font-src https: data:; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\nX-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n"

const escapes: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;", "`": "&#96;" }
export const escapeHtml = (text: string): string => text.replace(/[&<>"'`]/g, (character) => escapes[character]!)

export interface PageValues {
  readonly status: number
  readonly title: string
  readonly message: string
  readonly request_id: string
  readonly hostname: string
}

/** Only these are placeholders; other braces are the template's own (styles have many). One pass: a value is never read as a template. */
export const fillPage = (template: string, values: PageValues): string =>
  template.replace(/\{(status|title|message|request_id|hostname)\}/g, (_, name: keyof PageValues) => escapeHtml(String(values[name])))

export interface Asked {
  /** Canonical name of the request's Host; "" when there is none. */
  readonly host: string
  readonly accept: string
}

/** Of a message that became no request. */
export const nobody: Asked = { host: "", accept: "" }

/** An error page for a request to a hostname with this policy. */
export const policyAnswer = (policy: Policy, asked: Asked, status: number, requestId: RequestId, say: Saying = {}): Answer => {
  const answer = errorAnswer(status, asked.accept, requestId, say)
  if (policy === noPolicy) return answer
  if (policy.page === undefined || !answer.contentType.startsWith("text/html")) return { ...answer, headers: answer.headers + policy.hsts }
  const { title, message } = sayingOf(status, say)
  return {
    ...answer,
    body: fillPage(policy.page, { status, title, message, request_id: String(requestId), hostname: asked.host }),
    headers: answer.headers + policy.hsts + contentSecurityPolicy
  }
}

/** The page alone, for a request to a name that the hostname's other settings don't speak for. */
export const pageOf = ({ page }: Policy): Policy => (page === undefined ? noPolicy : { ...noPolicy, page })
