/** Why a connection to the outside failed, reduced to what the caller can do about it. */
import { Data } from "effect"

/**
 * - `Denied`: the address (or plain http to it) is not allowed. Never retry; tell whoever entered it.
 * - `Unresolved`: the name has no address, or its servers did not answer.
 * - `Unreachable`: refused, reset, no route. Retry later.
 * - `Tls`: the certificate or the handshake is wrong. Tell whoever runs the server.
 * - `Timeout`, `TooLarge`: the caller's own bounds.
 * - `InvalidUrl`: not an http(s) URL, or one with credentials in it.
 */
export type EgressReason = "Denied" | "Unresolved" | "Unreachable" | "Tls" | "Timeout" | "TooLarge" | "InvalidUrl"

export class EgressError extends Data.TaggedError("EgressError")<{
  readonly reason: EgressReason
  readonly message: string
  readonly cause?: unknown
}> {
  static from(cause: unknown): EgressError {
    const found = findEgressError(cause)
    if (found !== undefined) return found
    return new EgressError({ reason: reasonOf(cause), message: describe(cause), cause })
  }
}

const chain = (cause: unknown): ReadonlyArray<unknown> => {
  const links: Array<unknown> = []
  for (let link = cause; link !== undefined && link !== null && links.length < 6; link = (link as { cause?: unknown }).cause)
    links.push(link)
  return links
}

const findEgressError = (cause: unknown): EgressError | undefined => chain(cause).find((link) => link instanceof EgressError)

const codeOf = (cause: unknown): string => {
  for (const link of chain(cause)) {
    const code = (link as { code?: unknown }).code
    if (typeof code === "string") return code
  }
  return ""
}

const tls = /^(ERR_TLS|ERR_SSL|CERT_|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO|EPROTO|HOSTNAME_MISMATCH|INVALID_CA)/

const reasonOf = (cause: unknown): EgressReason => {
  const code = codeOf(cause)
  if (/TIMEDOUT|TIMEOUT|ABORT/.test(code) || (cause instanceof Error && cause.name === "TimeoutError")) return "Timeout"
  if (code === "UND_ERR_RES_EXCEEDED_MAX_SIZE") return "TooLarge"
  if (tls.test(code)) return "Tls"
  return "Unreachable"
}

/** Codes, never URLs or bodies: they may hold secrets. */
const describe = (cause: unknown): string => codeOf(cause) || (cause instanceof Error ? cause.name : "failed")
