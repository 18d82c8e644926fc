/**
 * The statements behind the connection actors: three, however many connections take part.
 *
 * Owns: SQL of connections, events, registry entries and seen ids. Leaves to `ConnectionActor.ts`: the transaction around them.
 * Rows are locked in order of id, so that two groups with the same members wait for each other instead of dead-locking.
 */
import { type Database, DatabaseError, type Sql } from "@connect-domain/database/Database.ts"
import type { SealedCredential } from "@connect-domain/messages/record.ts"
import { Effect } from "effect"
import { type ConnectionRow, changingColumns, fixedColumns, fromSql, toSql } from "./ConnectionRow.ts"
import type { Draft, LoadedRow } from "./Draft.ts"
import type { OutboxRow } from "./outgoing.ts"

type Db = Database["Service"]

/** Groups of connections that share a transaction. What one of them brought along may be what the database refuses. */
export const sharing = {
  size: 64,
  parallel: 3,
  divides: (error: unknown) => error instanceof DatabaseError && error.reason === "Other"
}
type LoadedSql = Parameters<typeof fromSql>[0] & { readonly held_by_another: boolean; readonly seen: ReadonlyArray<string> | null }

export interface Loaded {
  readonly rows: ReadonlyArray<LoadedRow>
  /** Those of the given message ids whose effect is committed. */
  readonly seen: ReadonlySet<string>
}

/** `id uuid, tenant_id uuid, …` */
const declare = (columns: Readonly<Record<string, string>>): string =>
  Object.entries(columns)
    .map(([name, type]) => `${name} ${type}`)
    .join(", ")

const fixed = Object.keys(fixedColumns).join(", ")
const changing = Object.keys(changingColumns).join(", ")
const all = `${fixed}, ${changing}`

const loaded = (rows: ReadonlyArray<LoadedSql>): Loaded => ({
  rows: rows.map(({ held_by_another, seen: _, ...sql }) => ({ row: fromSql(sql as Parameters<typeof fromSql>[0]), held_by_another })),
  seen: new Set(rows[0]?.seen ?? [])
})

const columnsOfC = all.replace(/\w+/g, "c.$&")
const isHeld = "exists (select 1 from lifecycle.connections h where h.claimed_hostname = c.hostname and h.id <> c.id) as held_by_another"

/** Locks and reads. What does not exist is missing from the answer. */
export const loadConnections = (db: Db, ids: ReadonlyArray<string>, messageIds: ReadonlyArray<string>) =>
  Effect.map(
    db.query<LoadedSql>(
      (sql) => sql`
        select ${sql.unsafe(columnsOfC)}, ${sql.unsafe(isHeld)},
          (select array_agg(i.id) from lifecycle.inbox i where i.id = any(${messageIds}::text[])) as seen
        from lifecycle.connections c where c.id = any(${ids}::uuid[]) order by c.id for update of c`
    ),
    loaded
  )

/** Locks and reads what is due, leaving out what somebody else works on. */
export const loadDue = (db: Db, now: number, limit: number) =>
  Effect.map(
    db.query<LoadedSql>(
      (sql) => sql`
        select ${sql.unsafe(columnsOfC)}, ${sql.unsafe(isHeld)}, null as seen
        from lifecycle.connections c where c.next_check_at <= ${new Date(now)} order by c.next_check_at limit ${limit}
        for update of c skip locked`
    ),
    loaded
  )

/** Without a lock: to answer a question, never to decide. */
export const readConnection = (db: Db, id: string, tenantId: string) =>
  Effect.map(
    db.query<Parameters<typeof fromSql>[0]>(
      (sql) => sql`select ${sql.unsafe(all)} from lifecycle.connections where id = ${id} and tenant_id = ${tenantId}`
    ),
    ([row]): ConnectionRow | undefined => (row === undefined ? undefined : fromSql(row))
  )

/** Writes a draft with one statement: rows, events, registry entries, seen ids, messages. A claim that somebody else took is a `UniqueViolation`. */
export const saveDraft = (db: Db, draft: Draft, outbox: ReadonlyArray<OutboxRow>) =>
  db.query(
    (sql) => sql`
      with input as (
        select * from jsonb_to_recordset(${sql.json([...draft.changed.values()].map(toSql))}) as x(id uuid, ${sql.unsafe(declare(changingColumns))})
      ), saved as (
        update lifecycle.connections c set (${sql.unsafe(changing)}) = row(${sql.unsafe(changing.replace(/\w+/g, "x.$&"))})
        from input x where c.id = x.id
      ), heard as (
        insert into lifecycle.inbox (id) select unnest(${[...draft.seen]}::text[])
      ), logged as (
        insert into lifecycle.events (id, tenant_id, application_id, connection_id, environment, type, sequence, data, occurred_at)
        select id, tenant_id, application_id, connection_id, environment, type, sequence, data, occurred_at
        from jsonb_populate_recordset(null::lifecycle.events, ${sql.json(draft.events.map(({ event }) => event))})
      ), sent as (${putOutbox(sql, outbox)})
      ${putRegistry(sql, draft)}`
  )

const putOutbox = (sql: Sql, rows: ReadonlyArray<OutboxRow>) => sql`
  insert into lifecycle.outbox (id, subject, payload, headers)
  select id, subject, payload, headers from jsonb_to_recordset(${sql.json(rows)}) as r(id text, subject text, payload jsonb, headers jsonb)
  on conflict (id) do nothing`

const putRegistry = (sql: Sql, draft: Draft) => sql`
  insert into lifecycle.registry (key, entry, version)
  select key, entry || jsonb_build_object('version', version), version from (
    select e.value ->> 'key' as key, e.value -> 'entry' as entry, nextval('lifecycle.versions') as version
    from jsonb_array_elements(${sql.json([...draft.registry].map(([key, entry]) => ({ key, entry })))}) e
  ) r
  on conflict (key) do update set entry = excluded.entry, version = excluded.version where excluded.version > registry.version`

/**
 * Inserts what may be inserted, with its messages: not names that anybody holds, not ids that exist. Gives back the ids that were.
 * `outbox` names the connection that each message belongs to.
 */
export const insertConnections = (db: Db, rows: ReadonlyArray<ConnectionRow>, outbox: ReadonlyArray<OutboxRow & { readonly of: string }>) =>
  Effect.map(
    db.query<{ readonly id: string }>(
      (sql) => sql`
        with made as (
          insert into lifecycle.connections (${sql.unsafe(all)})
          select ${sql.unsafe(all)}
          from jsonb_to_recordset(${sql.json(rows.map(toSql))}) as x(${sql.unsafe(declare({ ...fixedColumns, ...changingColumns }))})
          where not exists (select 1 from lifecycle.connections h where h.claimed_hostname = x.hostname)
          on conflict (id) do nothing returning id
        ), sent as (
          insert into lifecycle.outbox (id, subject, payload, headers)
          select r.id, r.subject, r.payload, r.headers
          from jsonb_to_recordset(${sql.json(outbox)}) as r("of" uuid, id text, subject text, payload jsonb, headers jsonb)
          join made on made.id = r."of" on conflict (id) do nothing
        )
        select id from made`
    ),
    (made) => new Set(made.map(({ id }) => id))
  )

interface CredentialRow extends Omit<SealedCredential, "credential_id"> {
  readonly id: string
  readonly application_id: string
}

/** The sealed credentials of these applications, oldest first. */
export const readCredentials = (db: Db, applicationIds: ReadonlyArray<string>) =>
  Effect.map(
    applicationIds.length === 0
      ? Effect.succeed<ReadonlyArray<CredentialRow>>([])
      : db.query<CredentialRow>(
          (sql) => sql`select id, tenant_id, application_id, provider, sealed from gateway.published_credentials
            where application_id = any(${applicationIds}::uuid[]) order by created_at, id`
        ),
    (rows) => {
      const byApplication = Map.groupBy(rows, (row) => row.application_id)
      return (applicationId: string): ReadonlyArray<SealedCredential> =>
        (byApplication.get(applicationId) ?? []).map(({ id, tenant_id, provider, sealed }) => ({
          credential_id: id,
          tenant_id,
          provider,
          sealed
        }))
    }
  )
