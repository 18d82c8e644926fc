/**
 * Whether this process can do its work now: checks that its parts register, asked when somebody asks.
 *
 * Owns: the list and how long a check may take. Leaves to each part: what it needs. Liveness is simply answering at all.
 */
import { Context, Effect, Layer, type Scope } from "effect"

export interface ReadinessReport {
  readonly ready: boolean
  /** Name of the check → `ok`, or why not. */
  readonly checks: Readonly<Record<string, string>>
}

/** A check that takes longer has failed. */
const patience = "2 seconds"

export class Readiness extends Context.Service<
  Readiness,
  {
    /** Asks `check` at every report while the scope is open. */
    readonly register: (name: string, check: Effect.Effect<void, unknown>) => Effect.Effect<void, never, Scope.Scope>
    readonly report: Effect.Effect<ReadinessReport>
  }
>()("telemetry/Readiness") {
  static readonly layer = Layer.sync(Readiness, () => {
    const checks = new Map<string, Effect.Effect<void, unknown>>()
    const ask = ([name, check]: [string, Effect.Effect<void, unknown>]) =>
      check.pipe(
        Effect.timeoutOrElse({ duration: patience, orElse: () => Effect.fail(new Error("no answer within 2 s")) }),
        Effect.match({
          onSuccess: () => [name, "ok"] as const,
          onFailure: (error) => [name, error instanceof Error ? error.message : String(error)] as const
        })
      )
    return Readiness.of({
      register: (name, check) =>
        Effect.asVoid(
          Effect.acquireRelease(
            Effect.sync(() => checks.set(name, check)),
            () => Effect.sync(() => checks.delete(name))
          )
        ),
      report: Effect.map(
        Effect.suspend(() => Effect.forEach([...checks], ask, { concurrency: "unbounded" })),
        (results) => ({ ready: results.every(([, state]) => state === "ok"), checks: Object.fromEntries(results) })
      )
    })
  })
}
