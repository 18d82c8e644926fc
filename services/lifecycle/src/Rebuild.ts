/**
 * Restores what NATS holds from what Postgres knows.
 *
 * Owns: when: at the start and after each reconnect if the store is not the one that this database filled, as soon as either is found to have gone
 * back to an older copy (`wentBack.ts`), and when an operator asks; streams and buckets (made from the catalogue), the event log sent again, all
 * open work made due. Leaves to `Epoch.ts`: what the registry's rows say then; to its relay: the puts, and `_meta` last; to `Applications.ts`: the
 * applications' entries. Built against: a JetStream store that was deleted, or that lost what it had acknowledged (restored from an older copy, or
 * killed before it wrote). The edges serve on meanwhile: an epoch that is not complete takes nothing from them.
 */
import { Database, type DatabaseError } from "@connect-domain/database/Database.ts"
import { hostnames, metaKey } from "@connect-domain/messages/buckets.ts"
import { CallError } from "@connect-domain/nats/Calls.ts"
import { Kv } from "@connect-domain/nats/Kv.ts"
import { Nats } from "@connect-domain/nats/Nats.ts"
import { provision } from "@connect-domain/nats/provision.ts"
import { Outbox } from "@connect-domain/outbox/Outbox.ts"
import { Context, Effect, Layer, Schedule, Stream } from "effect"
import { Applications } from "./Applications.ts"
import { beginEpoch, highestVersion } from "./Epoch.ts"
import { Wake } from "./Wake.ts"
import { type Remembered, wentBack } from "./wentBack.ts"

/** Open work is spread, so that 100,000 waiting connections don't knock in one second. Connections per second. */
const wakingRate = 500
/** As long as the event stream keeps its events. */
const eventsKept = "35 days"
/** Between two looks at what the bucket has; one is two questions to NATS and one to Postgres. */
const lookEvery = "5 seconds"
/** A leader that was elected just now may still catch up: what it shows counts when it is so each time, a second apart. */
const looks = 3

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
    /** Begins, if this epoch still stands, and does not wait. */
    readonly beginAgain: (why: string, epoch: string) => Effect.Effect<void, CallError | DatabaseError>
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
      const provisioned = Effect.mapError(Effect.provideService(provision, Nats, nats), unavailable)
      /** Before any hostname that refers to one. */
      const published = Effect.mapError(applications.publishAll, (error) => (error._tag === "NatsUnavailable" ? unavailable(error) : error))

      /** It takes locks on many rows, in no order that the connections' actors could follow: who loses a deadlock against one of them begins again. */
      const alone = <A>(effect: Effect.Effect<A, DatabaseError>) =>
        Effect.retry(db.transaction(effect), { times: 10, while: ({ reason }) => reason === "SerializationFailure" })

      const change = Effect.fnUntraced(function* (beginning: Beginning, highest: number) {
        const { why, sendEvents } = beginning
        // First, as the actors do: rows of connections before those of the registry.
        const woken = yield* wakeOpenWork
        const epoch = yield* beginEpoch(db, { ...beginning, highest })
        if (epoch === undefined) return undefined
        if (sendEvents) yield* db.query((sql) => sql`${sql.unsafe(sendEventsAgain)}`)
        yield* db.afterCommit(() => {
          registry.raise()
          deadline.signal.raise()
          outbox.poke()
        })
        yield* Effect.logInfo(`rebuilding NATS from Postgres: ${why}`, { epoch, connections_woken: woken })
        return { epoch, connections_woken: woken }
      }, alone)
      const begin = (beginning: Beginning) => Effect.flatMap(highestVersion(bucket), (highest) => change(beginning, highest))

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
      const rebuild = Effect.fnUntraced(function* (why: string) {
        yield* provisioned
        yield* published
        const begun = (yield* begin({ why, sendEvents: true, forgetful: true }))!
        return { ...begun, hostnames: yield* finished(begun.epoch) }
      })
      const beginAgain = (why: string, instead: string) => Effect.asVoid(begin({ why, instead, sendEvents: true, forgetful: false }))

      const readEpoch = Effect.map(
        db.query<Remembered>(
          (sql) =>
            sql`select epoch, complete, put_revision, (select last_value from lifecycle.versions) as last_version from lifecycle.epoch`
        ),
        ([row]) => row
      )
      const beginIfOneWentBack = Effect.gen(function* () {
        for (let look = 1; ; look++) {
          const last = yield* Effect.mapError(bucket.last, unavailable)
          const known = yield* readEpoch
          const lastRevision = yield* Effect.mapError(bucket.lastRevision, unavailable)
          const why = known === undefined ? undefined : wentBack(known, { last: last?.value, lastRevision })
          if (known === undefined || why === undefined) return false
          if (look === looks) return yield* Effect.as(beginAgain(why, known.epoch), true)
          yield* Effect.sleep("1 second")
        }
      })

      /** Is this the store that this database filled? Streams in memory are empty after a restart in any case: their work is due again. */
      const check = Effect.gen(function* () {
        yield* provisioned
        yield* published
        const known = yield* readEpoch
        const meta = yield* Effect.mapError(bucket.get(metaKey), unavailable)
        if (known === undefined) return yield* begin({ why: "a new installation", instead: null, sendEvents: false, forgetful: true })
        if (meta === undefined || !("epoch" in meta.value) || meta.value.epoch !== known.epoch) {
          return yield* begin({ why: "the store is empty or another one", instead: known.epoch, sendEvents: true, forgetful: true })
        }
        if (!(yield* beginIfOneWentBack)) yield* wakeOpenWork
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
      // While it is away nothing can be lost that the reconnection would not find.
      yield* Effect.forkScoped(Effect.repeat(Effect.ignore(beginIfOneWentBack), Schedule.spaced(lookEvery)))
      return Rebuild.of({ rebuild, beginAgain })
    })
  )
}

interface Beginning {
  readonly why: string
  /** The epoch that it follows; another one stands: somebody else has begun. Null: none. Absent: whichever. */
  readonly instead?: string | null
  readonly sendEvents: boolean
  /** Versions may have been given out that neither the database nor the bucket remembers. */
  readonly forgetful: boolean
}

const unavailable = ({ message }: { readonly message: string }) => new CallError({ code: "unavailable", message })

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
