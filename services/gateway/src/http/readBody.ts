/**
 * A request's body: bounded while it arrives, strictly parsed.
 *
 * Owns: the size limit (`payload_too_large`). Leaves to `strictJson.ts`: what JSON may contain; to `decodeInput.ts`: the fields.
 */
import { Effect, Result, Stream } from "effect"
import type { HttpServerRequest } from "effect/http"
import { ApiError, invalid } from "./ApiError.ts"
import { parseStrictJson } from "./strictJson.ts"

/** Bytes. The largest legitimate body is a template or metadata of some KiB. */
const maxBytes = 256 * 1024

const tooLarge = new ApiError({
  code: "payload_too_large",
  message: `the body is larger than ${maxBytes} bytes`,
  headers: { connection: "close" }
})

export interface Body {
  readonly text: string
  readonly value: unknown
}

/** No body at all reads as `{}`: actions need none. */
export const readBody = (request: HttpServerRequest.HttpServerRequest): Effect.Effect<Body, ApiError> => {
  if (Number(request.headers["content-length"] ?? 0) > maxBytes) return Effect.fail(tooLarge)
  if (request.headers["content-length"] === "0" || (!("content-length" in request.headers) && !("transfer-encoding" in request.headers))) {
    return Effect.succeed({ text: "", value: {} })
  }
  let size = 0
  return request.stream.pipe(
    Stream.mapError((cause) => new ApiError({ code: "invalid", message: "the body did not arrive", cause })),
    Stream.tap((chunk) => {
      size += chunk.length
      return size > maxBytes ? Effect.fail(tooLarge) : Effect.void
    }),
    Stream.runCollect,
    Effect.flatMap((chunks) => parse(Buffer.concat(chunks)))
  )
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: false })

const parse = (bytes: Uint8Array): Effect.Effect<Body, ApiError> => {
  if (bytes.length === 0) return Effect.succeed({ text: "", value: {} })
  let text: string
  try {
    text = utf8.decode(bytes)
  } catch {
    return Effect.fail(invalid({ field: "body", message: "must be UTF-8" }))
  }
  const parsed = parseStrictJson(text)
  return Result.isFailure(parsed) ? Effect.fail(invalid(parsed.failure)) : Effect.succeed({ text, value: parsed.success })
}
