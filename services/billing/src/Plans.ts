/**
 * The plans in force: the operator's file, read at start and again whenever it was edited.
 *
 * Owns: where the file is and how stale it may be (5 s). Leaves its content to `PlanFile.ts`.
 * Built against: an edit that breaks the file while tenants create domains (the last good version stays in force, the log says why).
 */
import { readFile, stat } from "node:fs/promises"
import { fileURLToPath } from "node:url"
import { Config, Context, Effect, Layer, Ref, Result, Schema } from "effect"
import { type PlanFile, parsePlanFile } from "./PlanFile.ts"

/** Path of the plans file. Default: the `plans.json` beside this service. */
export const PlansFile = Config.String("CD_PLANS_FILE").pipe(Config.withDefault(fileURLToPath(new URL("../plans.json", import.meta.url))))

export class PlansFileError extends Schema.TaggedError<PlansFileError>()("PlansFileError", {
  path: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return `CD_PLANS_FILE ${this.path}: ${this.problem}`
  }
}

interface Read {
  readonly file: PlanFile
  readonly modified: number
}

const modifiedAt = (path: string) =>
  Effect.tryPromise({ try: async () => (await stat(path)).mtimeMs, catch: (cause) => new PlansFileError({ path, problem: String(cause) }) })

/** What the file says now. */
export const readPlans = (path: string): Effect.Effect<Read, PlansFileError> =>
  Effect.gen(function* () {
    const modified = yield* modifiedAt(path)
    const text = yield* Effect.tryPromise({
      try: () => readFile(path, "utf8"),
      catch: (cause) => new PlansFileError({ path, problem: String(cause) })
    })
    const parsed = parsePlanFile(text)
    if (Result.isFailure(parsed)) return yield* new PlansFileError({ path, problem: parsed.failure })
    return { file: parsed.success, modified }
  })

export class Plans extends Context.Service<
  Plans,
  {
    /** The plans in force now. Never fails: a file that became wrong leaves the last good one. */
    readonly current: Effect.Effect<PlanFile>
  }
>()("billing/Plans") {
  /** Fails at start for a file that is missing or wrong. */
  static readonly layer = Layer.effect(
    Plans,
    Effect.gen(function* () {
      const path = yield* PlansFile
      const last = yield* Ref.make(yield* readPlans(path))
      const refresh = Effect.gen(function* () {
        const known = yield* Ref.get(last)
        const modified = yield* modifiedAt(path)
        if (modified !== known.modified) {
          // Remembered before parsing: a wrong file is complained about once, not every five seconds.
          yield* Ref.set(last, { ...known, modified })
          yield* Ref.set(last, yield* readPlans(path))
          yield* Effect.logInfo("plans file read again")
        }
      }).pipe(Effect.catch((error) => Effect.logError(`plans stay as they were: ${error.message}`)))
      const checked = yield* Effect.cachedWithTTL(refresh, "5 seconds")
      return Plans.of({
        current: Effect.andThen(
          checked,
          Effect.map(Ref.get(last), ({ file }) => file)
        )
      })
    })
  )

  static layerOf(file: PlanFile) {
    return Layer.succeed(Plans, Plans.of({ current: Effect.succeed(file) }))
  }
}
