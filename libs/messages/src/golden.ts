/**
 * Writes a golden file for each encoding that has none yet: `node libs/messages/src/golden.ts`. Existing files are never rewritten: they
 * are what was shipped. A breaking change is a new definition, not a new golden file.
 */
import { existsSync, mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { Arbitrary, Effect, Schema } from "effect"
import { catalogue } from "./catalogue.ts"
import type { Definition, WireSchema } from "./definition.ts"

export const goldenFolder = join(import.meta.dirname, "..", "golden")

/** The schemas that a definition puts on the wire, by the name of their golden file. */
export const encodings = (name: string, definition: Definition): ReadonlyArray<readonly [string, WireSchema]> => {
  switch (definition.kind) {
    case "call":
      return [
        [`${name}.request`, definition.payload],
        [`${name}.answer`, definition.success]
      ]
    case "bucket":
      return [[name, definition.value]]
    default:
      return [[name, definition.payload]]
  }
}

/** Two values of the schema, the same at each run: one small, one with most optional fields. */
export const samples = (schema: WireSchema): ReadonlyArray<unknown> =>
  [1, 4].map((size) => {
    const [value] = Effect.runSync(Arbitrary.sampleEffect(Arbitrary.schema(schema), { count: 1, size, seed: size }))
    return Schema.encodeUnknownSync(schema)(value)
  })

if (import.meta.main) {
  mkdirSync(goldenFolder, { recursive: true })
  for (const [name, definition] of catalogue) {
    for (const [file, schema] of encodings(name, definition)) {
      const path = join(goldenFolder, `${file}.v1.json`)
      if (!existsSync(path)) writeFileSync(path, `${JSON.stringify(samples(schema), null, 2)}\n`)
    }
  }
}
