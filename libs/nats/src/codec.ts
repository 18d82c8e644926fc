/**
 * Payloads to and from JSON bytes, with encoders and decoders built once per schema.
 *
 * Leaves to libs/messages: the schemas. Unknown fields are dropped on reading: a schema only grows, and the sender may be newer.
 */
import type { WireSchema } from "@connect-domain/messages/definition.ts"
import { Result, Schema } from "effect"

export interface Codec<A> {
  /** The JSON text. Throws for a value that the schema refuses: that is the sender's defect. */
  readonly encode: (value: A) => string
  /** The JSON value, for a jsonb column. */
  readonly encodeJson: (value: A) => unknown
  readonly decode: (data: Uint8Array | string) => Result.Result<A, string>
}

const codecs = new WeakMap<WireSchema, Codec<unknown>>()
const text = new TextDecoder()

export const codecOf = <S extends WireSchema>(schema: S): Codec<S["Type"]> => {
  const known = codecs.get(schema)
  if (known !== undefined) return known as Codec<S["Type"]>
  const wire = Schema.toCodecJson(schema)
  const encodeJson = Schema.encodeUnknownSync(wire)
  const decodeJson = Schema.decodeUnknownResult(wire)
  const made: Codec<unknown> = {
    encodeJson,
    encode: (value) => JSON.stringify(encodeJson(value)),
    decode: (data) => {
      let json: unknown
      try {
        json = JSON.parse(typeof data === "string" ? data : text.decode(data))
      } catch {
        return Result.fail("not JSON")
      }
      return Result.mapError(decodeJson(json), (error) => error.message)
    }
  }
  codecs.set(schema, made)
  return made as Codec<S["Type"]>
}
