/**
 * Restores what NATS holds from what Postgres knows.
 *
 * Owns: streams and buckets (made from the catalogue), a new epoch, every registry entry marked dirty, the event log sent again, all open
 * work made due. Leaves to the registry's relay: the puts, and `_meta` last; to `Applications.ts`: the applications' entries.
 * Happens at the start and after each reconnect when the store is not the one that this database filled, and when an operator asks.
 * Built against: a JetStream store that was deleted, or that lost what it had acknowledged. The edges serve on meanwhile: an epoch that is
 * not complete takes nothing from them.
 */
import { Database, type DatabaseError } from "@connect-domain/database/Database.ts"
import { uuidv7 } from "@connect-domain/domain/uuidv7.ts"
import { hostnames, metaKey } from "@connect-domain/messages/buckets.ts"
import { CallError } from "@connect-domain/nats/Calls.ts"
import { Kv } from "@connect-domain/nats/Kv.ts"
import { Nats } from "@connect-domain/nats/Nats.ts"
import { provision } from "@connect-domain/nats/provision.ts"
import { Outbox } from "@connect-domain/outbox/Outbox.ts"
import { Context, Effect, Layer, Schedule, Stream } from "effect"
import { Applications } from "./Applications.ts"
import { Wake } from "./Wake.ts"

/** Open work is spread, so that 100,000 waiting connections don't knock in one second. Connections per second. */
const wakingRate = 500
/** As long as the event stream keeps its events. */
const eventsKept = "35 days"

export interface Rebuilt {
  readonly epoch: string
  readonly hostnames: number
  readonly connections_woken: number
}

export class Rebuild extends Context.Service<
  Rebuild,
  {
    /** Returns when `_meta` is complete. Safe to call at any time, and twice. */
    readonly rebuild: (why: string) => Effect.Effect<Rebuilt, CallError | DatabaseError>
  }
>()("lifecycle/Rebuild") {
  static readonly layer = Layer.effect(
    Rebuild,
    Effect.gen(function* () {
      const db = yield* Database
      const nats = yield* Nats
      const outbox = yield* Outbox
      const applications = yield* Applications
      const { registry, deadline } = yield* Wake
      const bucket = (yield* Kv).bucket(hostnames)
      const provisioned = Effect.mapError(
        Effect.provideService(provision, Nats, nats),
        (error) => new CallError({ code: "unavailable", message: error.message })
      )

      /** Before any hostname that refers to one. */
      const published = Effect.mapError(applications.publishAll, (error) =>
        error._tag === "NatsUnavailable" ? new CallError({ code: "unavailable", message: error.message }) : error
      )

      /** It takes locks on many rows, in no order that the connections' actors could follow: who loses a deadlock against one of them begins again. */
      const alone = <A>(effect: Effect.Effect<A, DatabaseError>) =>
        Effect.retry(db.transaction(effect), { times: 10, while: ({ reason }) => reason === "SerializationFailure" })

      const begin = Effect.fnUntraced(function* (why: string, sendEvents: boolean) {
        const epoch = uuidv7()
        yield* db.query(
          (sql) => sql`insert into lifecycle.epoch (epoch, complete) values (${epoch}, false)
            on conflict (single) do update set epoch = excluded.epoch, complete = false, begun_at = now()`
        )
        yield* db.query((sql) => sql`update lifecycle.registry set put_version = 0, put_revision = null, put_epoch = null`)
        if (sendEvents) yield* db.query((sql) => sql`${sql.unsafe(sendEventsAgain)}`)
        const woken = yield* wakeOpenWork
        yield* db.afterCommit(() => {
          registry.raise()
          deadline.signal.raise()
          outbox.poke()
        })
        yield* Effect.logInfo(`rebuilding NATS from Postgres: ${why}`, { epoch, connections_woken: woken })
        return { epoch, connections_woken: woken }
      }, alone)

      const wakeOpenWork = Effect.gen(function* () {
        yield* db.query((sql) => sql`${sql.unsafe(releaseAgain)}`)
        const [row] = yield* db.query<{ count: number }>((sql) => sql`${sql.unsafe(makeOpenWorkDue)}`)
        return row?.count ?? 0
      })
      const finished = (epoch: string) =>
        db
          .query<{ hostnames: number }>(
            (sql) => sql`select count(*) filter (where r.entry ->> 'status' = 'held') as hostnames
              from lifecycle.epoch e left join lifecycle.registry r on true where e.complete or e.epoch <> ${epoch} group by e.epoch`
          )
          .pipe(
            Effect.flatMap(([row]) => (row === undefined ? Effect.fail("not yet" as const) : Effect.succeed(row.hostnames))),
            Effect.retry({ while: (error) => error === "not yet", schedule: Schedule.spaced("50 millis") }),
            Effect.catchIf((error): error is "not yet" => error === "not yet", Effect.die)
          )
      const rebuild = Effect.fnUntraced(function* (why: string, sendEvents = true) {
        yield* provisioned
        yield* published
        const begun = yield* begin(why, sendEvents)
        return { ...begun, hostnames: yield* finished(begun.epoch) }
      })

      /** Is this the store that this database filled? Streams in memory are empty after a restart in any case: their work is due again. */
      const check = Effect.gen(function* () {
        yield* provisioned
        yield* published
        const [known] = yield* db.query<{ epoch: string }>((sql) => sql`select epoch from lifecycle.epoch`)
        const meta = yield* Effect.mapError(bucket.get(metaKey), (error) => new CallError({ code: "unavailable", message: error.message }))
        if (known === undefined) return yield* begin("a new installation", false)
        if (meta !== undefined && "epoch" in meta.value && meta.value.epoch === known.epoch) return yield* Effect.asVoid(wakeOpenWork)
        yield* begin("the store is empty or another one", true)
      }).pipe(
        Effect.tapError((error) => Effect.logWarning(`NATS can't be checked yet: ${error.message}`)),
        Effect.retry(Schedule.min([Schedule.exponential("200 millis"), Schedule.spaced("2 seconds")]))
      )
      yield* check
      yield* Stream.fromAsyncIterable(nats.connection.status(), String).pipe(
        Stream.filter((status) => status.type === "reconnect"),
        Stream.runForEach(() => check),
        Effect.forkScoped
      )
      return Rebuild.of({ rebuild: (why) => rebuild(why) })
    })
  )
}

/** Answers that were under way are lost: ask again, spread over the time that this many take. Live domains are looked at anyway. */
const makeOpenWorkDue = `
  with open as (
    select id, row_number() over (order by next_check_at) / ${wakingRate}.0 as seconds
    from lifecycle.connections where next_check_at is not null and state not in ('live', 'drifted', 'stalled')
  ), woken as (
    update lifecycle.connections c set next_check_at = least(c.next_check_at, now() + open.seconds * interval '1 second')
    from open where c.id = open.id returning 1
  ) select count(*) as count from woken`

/** Keys that are not known to be destroyed. */
const releaseAgain = `
  insert into lifecycle.outbox (id, subject, payload)
  select id || '.release', 'cd.work.v1.certifier.order.release.' || id,
    jsonb_build_object('connection_id', id, 'claim_id', id, 'hostname', hostname)
  from lifecycle.connections where state in ('failed', 'archived') and certificate_id is not null and updated_at > now() - interval '30 days'
  on conflict (id) do nothing`

/** The same ids again: whoever has one drops it. */
const sendEventsAgain = `
  insert into lifecycle.outbox (id, subject, payload)
  select e.id, 'cd.events.v1.' || e.tenant_id || '.' || e.connection_id || '.' || e.type,
    jsonb_build_object('id', e.id, 'type', e.type, 'tenant_id', e.tenant_id, 'application_id', e.application_id,
      'connection_id', e.connection_id, 'environment', e.environment, 'sequence', e.sequence, 'data', e.data,
      'occurred_at', to_char(e.occurred_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))
  from lifecycle.events e where e.occurred_at > now() - interval '${eventsKept}' order by e.position
  on conflict (id) do nothing`
