/**
 * The ACME transport over undici: connections kept alive, a deadline and a size limit on every answer, no redirects.
 *
 * Owns: turning an answer or a socket's failure into `TransportResponse` or `Unavailable`. Leaves to the dispatcher it is given: which
 * addresses may be reached (libs/egress) and which roots the CA's own HTTPS may chain to.
 * Built against: a CA that is slow, silent or endless.
 */
import { Effect } from "effect"
import { type Dispatcher, request as undiciRequest } from "undici"
import { AcmeError, Unavailable } from "./AcmeError.ts"
import type { Transport, TransportRequest, TransportResponse } from "./Transport.ts"

const maxBytes = 1024 * 1024
/** Boulder answers within seconds; finalize may hold the line for a while. */
const timeoutMillis = 30_000

const single = (header: string | string[] | undefined): string | undefined => (Array.isArray(header) ? header.join(", ") : header)

const exchange = async (dispatcher: Dispatcher, request: TransportRequest, signal: AbortSignal): Promise<TransportResponse> => {
  const response = await undiciRequest(request.url, {
    dispatcher,
    method: request.method,
    headers: request.headers,
    body: request.body ?? null,
    headersTimeout: timeoutMillis,
    bodyTimeout: timeoutMillis,
    signal
  })
  const chunks: Array<Buffer> = []
  let size = 0
  for await (const chunk of response.body as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > maxBytes) throw new Error(`the answer is longer than ${maxBytes} bytes`)
    chunks.push(chunk)
  }
  const headers = Object.fromEntries(Object.entries(response.headers).map(([name, value]) => [name, single(value)]))
  return { status: response.statusCode, headers, body: Buffer.concat(chunks).toString("utf8") }
}

const describe = (cause: unknown): string => {
  const error = cause as { readonly code?: string; readonly message?: string; readonly errors?: ReadonlyArray<{ message: string }> }
  const text = error.message || error.errors?.map((each) => each.message).join("; ") || String(cause)
  return error.code === undefined ? text : `${error.code}: ${text}`
}

export const undiciTransport =
  (dispatcher: Dispatcher): Transport =>
  (request) =>
    Effect.tryPromise({
      try: (signal) => exchange(dispatcher, request, signal),
      catch: (cause) =>
        new AcmeError({ operation: `${request.method} ${request.url}`, reason: new Unavailable({ detail: describe(cause) }) })
    }).pipe(
      Effect.timeoutOrElse({
        duration: timeoutMillis,
        orElse: () =>
          Effect.fail(
            new AcmeError({ operation: `${request.method} ${request.url}`, reason: new Unavailable({ detail: "no answer in time" }) })
          )
      })
    )
