/**
 * The ACME transport over libs/egress: addresses are checked at connect time, answers bounded in time and size, no redirects.
 *
 * Owns: turning an answer or a socket's failure into `TransportResponse` or `Unavailable`. Leaves to `HttpClient`: the sockets, and which
 * roots the CA's own HTTPS may chain to. Built against: a CA that is slow, silent or endless.
 */
import type { HttpClient } from "@connect-domain/egress/HttpClient.ts"
import { Effect } from "effect"
import { AcmeError, Unavailable } from "./AcmeError.ts"
import type { Transport } from "./Transport.ts"

/** Boulder answers within seconds; finalize may hold the line for a while. */
const timeoutMs = 30_000

export const egressTransport =
  (client: HttpClient["Service"]): Transport =>
  (request) =>
    client
      .request(request.url, {
        method: request.method,
        headers: request.headers,
        timeoutMs,
        ...(request.body === undefined ? {} : { body: request.body })
      })
      .pipe(
        Effect.mapBoth({
          onSuccess: (answer) => ({
            status: answer.status,
            headers: answer.headers as Readonly<Record<string, string | undefined>>,
            body: Buffer.from(answer.body).toString("utf8")
          }),
          onFailure: (error) =>
            new AcmeError({
              operation: `${request.method} ${request.url}`,
              reason: new Unavailable({ detail: `${error.reason}: ${error.message}` })
            })
        })
      )
