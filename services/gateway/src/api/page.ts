/** Lists: `{data, next_cursor}`; a cursor is opaque and belongs to the tenant and the list that it came from. */
import { Effect, Schema } from "effect"

export const Limit = Schema.NumberFromString.check(
  Schema.makeFilter((limit: number) => (Number.isInteger(limit) && limit >= 1 && limit <= 100) || "must be a whole number from 1 to 100")
).pipe(Schema.withDecodingDefaultKey(Effect.succeed("20")))

export const pageQuery = { cursor: Schema.optionalKey(Schema.String), limit: Limit }

export const pageOf = <S extends Schema.Top>(item: S) =>
  Schema.Struct({ data: Schema.Array(item), next_cursor: Schema.NullOr(Schema.String) })
