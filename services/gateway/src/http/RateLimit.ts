/**
 * How many requests a credential may make (requirement P7): GCRA, exact across processes.
 *
 * Owns: `CD_RATE_LIMIT`, the theoretical arrival time per key (one row, one statement), the exact Retry-After. A burst of a sixth of the
 * minute's allowance is allowed at once. Built against: counters per process that multiply the limit by the number of replicas.
 */
import { Database } from "@connect-domain/database/Database.ts"
import { Config, Effect, Schedule, type Scope } from "effect"
import { ApiError, fromDatabase } from "./ApiError.ts"

/** `CD_RATE_LIMIT`: requests per minute and API key (a widget token counts for its key); 0 means none. Default 1200. */
export const RateLimit = Config.Int("CD_RATE_LIMIT").pipe(Config.withDefault(1200))

/** Passes, or fails with `rate_limited` and the seconds after which the next request will pass. */
export type Limiter = (subject: string) => Effect.Effect<void, ApiError>

export const makeLimiter: Effect.Effect<Limiter, Config.ConfigError, Database | Scope.Scope> = Effect.gen(function* () {
  const perMinute = yield* RateLimit
  if (perMinute <= 0) return (_subject: string) => Effect.void
  const database = yield* Database
  yield* Effect.forkScoped(forgetIdle(database).pipe(Effect.repeat(Schedule.spaced("1 hour"))))
  const interval = 60 / perMinute
  const tolerance = Math.max(interval, 10)
  return (subject) =>
    database
      .query<{ readonly wait: number | null }>(
        (sql) => sql`
          with allowed as (
            insert into gateway.rate_limits as r (subject, arrival) values (${subject}, clock_timestamp() + make_interval(secs => ${interval}))
            on conflict (subject) do update
              set arrival = greatest(r.arrival, clock_timestamp()) + make_interval(secs => ${interval})
              where r.arrival - clock_timestamp() <= make_interval(secs => ${tolerance})
            returning 1)
          select (select extract(epoch from arrival - clock_timestamp())::float8 - ${tolerance}::float8 from gateway.rate_limits
                  where subject = ${subject} and not exists (select from allowed)) as wait`
      )
      .pipe(
        Effect.mapError(fromDatabase),
        Effect.flatMap(([row]) => {
          const wait = row?.wait ?? null
          if (wait === null) return Effect.void
          const seconds = Math.max(1, Math.ceil(wait))
          return Effect.fail(
            new ApiError({
              code: "rate_limited",
              message: `more than ${perMinute} requests a minute; try again in ${seconds} s`,
              details: { limit: perMinute, retry_after: seconds },
              headers: { "retry-after": String(seconds) }
            })
          )
        })
      )
})

const forgetIdle = (database: Database["Service"]) =>
  Effect.ignore(database.query((sql) => sql`delete from gateway.rate_limits where arrival < now() - interval '1 hour'`))
