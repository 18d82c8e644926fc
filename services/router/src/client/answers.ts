/**
 * Answers that the edge gives itself: error pages, redirects, challenge tokens.
 *
 * Owns: their text, as HTML for people and JSON for programs. Leaves to the connections: writing them. Built against: an answer that tells an
 * attacker more than the status does.
 */

import { dateLine } from "../http1/dateLine.ts"
import type { RequestId } from "../RequestId.ts"

/** An answer of the edge's own. `headers`: further lines, each with CRLF. */
export interface Answer {
  readonly status: number
  readonly contentType: string
  readonly body: string
  readonly headers: string
}

export const reasons: Readonly<Record<number, string>> = {
  ...{ 100: "Continue", 101: "Switching Protocols", 103: "Early Hints", 200: "OK", 301: "Moved Permanently" },
  ...{ 302: "Found", 307: "Temporary Redirect", 308: "Permanent Redirect" },
  ...{ 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 408: "Request Timeout", 413: "Content Too Large" },
  ...{ 417: "Expectation Failed", 421: "Misdirected Request", 429: "Too Many Requests", 431: "Request Header Fields Too Large" },
  ...{ 500: "Internal Server Error", 501: "Not Implemented", 502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout" },
  ...{ 505: "HTTP Version Not Supported", 508: "Loop Detected" }
}

const sentences: Readonly<Record<number, string>> = {
  400: "The request could not be understood.",
  404: "There is nothing here.",
  405: "This method is not served here.",
  408: "The request took too long to arrive.",
  417: "The expectation can not be met.",
  421: "This address does not serve the requested host name.",
  429: "Too many requests. Please try again in a moment.",
  431: "The request's header fields are too large.",
  501: "This is not implemented here.",
  502: "The site's server gave no usable answer. Please try again in a moment.",
  503: "The site is not available right now. Please try again in a moment.",
  504: "The site's server took too long to answer. Please try again in a moment.",
  505: "This version of HTTP is not served here.",
  508: "The request came back to where it had been: the site's address leads in a circle."
}

const prefersJson = (accept: string): boolean => {
  const json = accept.indexOf("json")
  const html = accept.indexOf("html")
  return json >= 0 && (html < 0 || json < html)
}

const style =
  "body{font:16px/1.5 system-ui,sans-serif;margin:15vh auto;max-width:34rem;padding:0 1rem;color:#222;background:#fff}" +
  "small{color:#667}@media(prefers-color-scheme:dark){body{color:#ddd;background:#111}}"

/** What an answer says instead of its status's own words. */
export interface Saying {
  readonly title?: string
  readonly message?: string
  /** Seconds. */
  readonly retryAfter?: number
}

export const sayingOf = (status: number, say: Saying): { readonly title: string; readonly message: string } => {
  const title = say.title ?? reasons[status] ?? "Error"
  return { title, message: say.message ?? sentences[status] ?? title }
}

/** An error page by what the client accepts. The request id finds the line in the access log. */
export const errorAnswer = (status: number, accept: string, requestId: RequestId, say: Saying = {}): Answer => {
  const { title, message: sentence } = sayingOf(status, say)
  const retryAfter = say.retryAfter ?? (status === 503 ? 5 : undefined)
  const headers = `${retryAfter === undefined ? "" : `Retry-After: ${retryAfter}\r\n`}Cache-Control: no-store\r\n`
  if (prefersJson(accept)) {
    const code = title.toLowerCase().replace(/[^a-z]+/g, "_")
    const body = `${JSON.stringify({ error: { code, message: sentence, request_id: String(requestId) } })}\n`
    return { status, contentType: "application/json", body, headers }
  }
  const body =
    `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${status} ${title}</title>` +
    `<style>${style}</style><h1>${title}</h1><p>${sentence}</p><small>${status} · ${requestId}</small></html>\n`
  return { status, contentType: "text/html; charset=utf-8", body, headers }
}

export const textAnswer = (status: number, body: string): Answer => ({ status, contentType: "text/plain", body, headers: "" })

/** `lines`: each with CRLF. */
export const withLines = (answer: Answer, lines: string): Answer => (lines === "" ? answer : { ...answer, headers: answer.headers + lines })

/** To an OPTIONS that goes no further (RFC 9110 §9.3.7): what the edge passes on. */
export const allowedAnswer: Answer = {
  ...{ status: 200, contentType: "text/plain", body: "" },
  headers: "Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n"
}

export const redirectAnswer = (location: string, status = 308): Answer => ({
  status,
  contentType: "text/plain",
  body: `${location}\n`,
  headers: `Location: ${location}\r\n`
})

/** The answer as HTTP/1.1 bytes; `head` leaves the body out (HEAD). The body is ASCII apart from UTF-8 in pages, hence the Buffer length. */
export const writeAnswer = (answer: Answer, options: { readonly head: boolean; readonly close: boolean }): string => {
  const body = Buffer.from(answer.body, "utf8")
  return (
    `HTTP/1.1 ${answer.status} ${reasons[answer.status] ?? ""}\r\n${answer.headers}Content-Type: ${answer.contentType}\r\n` +
    `Content-Length: ${body.length}\r\n${dateLine()}${options.close ? "Connection: close\r\n" : ""}\r\n` +
    (options.head ? "" : body.toString("latin1"))
  )
}
