/** Lists: `{data, next_cursor}`; a cursor is opaque and belongs to the tenant and the list that it came from. */
import { Effect, Schema, SchemaTransformation } from "effect"

const isLimit = (text: string): boolean => /^[1-9]\d{0,2}$/.test(text) && Number(text) <= 100

export const Limit = Schema.String.check(Schema.makeFilter((text: string) => isLimit(text) || "must be a whole number from 1 to 100")).pipe(
  Schema.decodeTo(
    Schema.Int,
    SchemaTransformation.transform({ decode: (text: string) => Number(text), encode: (limit: number) => String(limit) })
  ),
  Schema.withDecodingDefaultKey(Effect.succeed("20"))
)

export const pageQuery = { cursor: Schema.optionalKey(Schema.String), limit: Limit }

export const pageOf = <S extends Schema.Top>(item: S) =>
  Schema.Struct({ data: Schema.Array(item), next_cursor: Schema.NullOr(Schema.String) })
