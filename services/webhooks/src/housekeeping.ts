/**
 * What may be forgotten: settled deliveries after sixty days (longer than the event log can bring them again) and ended secrets.
 */
import { Database } from "@connect-domain/database/Database.ts"
import { Effect } from "effect"

export const keepDays = 60

export const clearAway = Effect.gen(function* () {
  const database = yield* Database
  yield* database.query((sql) => sql`delete from webhooks.secrets where expires_at < now()`)
  yield* database.query(
    (sql) => sql`delete from webhooks.deliveries where id in (
      select id from webhooks.deliveries where created_at < now() - ${keepDays} * interval '1 day' and status <> 'pending'
      order by created_at limit 5000)`
  )
})

/** Every hour, for ever: an ended secret is refused by its time and gone within the hour. */
export const housekeeping = clearAway.pipe(
  Effect.catchCause((cause) => Effect.logWarning("housekeeping waits", cause)),
  Effect.andThen(Effect.sleep("1 hour")),
  Effect.forever
)
