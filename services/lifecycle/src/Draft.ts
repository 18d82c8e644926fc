/**
 * One transaction's worth of decisions, before it is written.
 *
 * Owns: telling several connections several things in order, and collecting what follows: changed rows, public events, messages, registry
 * entries, seen message ids. Leaves to libs/connection: every decision; to `connectionStore.ts`: writing it.
 * Built against: two commands of one group that don't know of each other (a row changed by the first is what the second is told to), and
 * a command that throws and takes its group with it.
 */
import type { Command } from "@connect-domain/connection/Command.ts"
import { type Decision, decide } from "@connect-domain/connection/decide.ts"
import type { Event } from "@connect-domain/connection/Event.ts"
import { evolve } from "@connect-domain/connection/evolve.ts"
import { publicEvents } from "@connect-domain/connection/publicEvents.ts"
import { type Reaction, reactions } from "@connect-domain/connection/reactions.ts"
import type { StateName } from "@connect-domain/connection/State.ts"
import type { Timing } from "@connect-domain/connection/schedule.ts"
import type { DatabaseError } from "@connect-domain/database/Database.ts"
import { uuidv7 } from "@connect-domain/domain/uuidv7.ts"
import type { HostnameEntry } from "@connect-domain/messages/buckets.ts"
import type { ConnectionEvent } from "@connect-domain/messages/events.ts"
import { CallError } from "@connect-domain/nats/Calls.ts"
import { type Effect, Exit } from "effect"
import { type ConnectionRow, registryEntry } from "./ConnectionRow.ts"

/** What of a row no decision depends on, and a caller may change. */
export type Edit = Partial<Pick<ConnectionRow, "metadata" | "origin" | "edge" | "batch_id">>

export interface Told {
  readonly id: string
  readonly command: Command
  /** Seen before: nothing happens, and that is a success. */
  readonly messageId?: string
  /** Another tenant's connection does not exist. */
  readonly tenantId?: string
  /** Decided under the row's lock; an error refuses the command. */
  readonly edit?: (row: ConnectionRow) => Edit | CallError
  /** What other rows must allow: looked at under this row's lock, in the same transaction, before the command; a refusal refuses it. */
  readonly allowed?: Effect.Effect<void, CallError | DatabaseError>
  /** Request id and trace of whoever tells it; what follows carries them on. */
  readonly headers?: Headers | undefined
}

export type Headers = Readonly<Record<string, string>>

export interface Outcome {
  readonly row: ConnectionRow
  /** What the command caused; empty when it was late, a duplicate, or about nothing. */
  readonly events: ReadonlyArray<Event>
}

export interface Surroundings {
  readonly now: number
  readonly random: () => number
  readonly timing: Timing
}

export interface LoadedRow {
  readonly row: ConnectionRow
  readonly held_by_another: boolean
}

export class Draft {
  readonly changed = new Map<string, ConnectionRow>()
  readonly seen = new Set<string>()
  readonly events: Array<{ readonly event: ConnectionEvent; readonly headers: Headers }> = []
  readonly reactions: Array<{ readonly row: ConnectionRow; readonly reaction: Reaction; readonly headers: Headers }> = []
  readonly entered: Array<StateName> = []
  readonly registry = new Map<string, Omit<HostnameEntry, "version">>()
  private readonly rows: Map<string, ConnectionRow>
  private readonly held: Set<string>
  private readonly alreadySeen: ReadonlySet<string>
  private readonly around: Surroundings

  constructor(loaded: ReadonlyArray<LoadedRow>, alreadySeen: ReadonlySet<string>, around: Surroundings) {
    this.rows = new Map(loaded.map(({ row }) => [row.id, row]))
    this.held = new Set(loaded.filter((each) => each.held_by_another).map(({ row }) => row.id))
    this.alreadySeen = alreadySeen
    this.around = around
  }

  tell(told: Told): Exit.Exit<Outcome, CallError> {
    const before = this.rows.get(told.id)
    if (before === undefined || (told.tenantId !== undefined && told.tenantId !== before.tenant_id)) return notFound
    if (told.messageId !== undefined) {
      if (this.alreadySeen.has(told.messageId) || this.seen.has(told.messageId)) return Exit.succeed({ row: before, events: [] })
      this.seen.add(told.messageId)
    }
    try {
      return this.decide(before, told)
    } catch (defect) {
      return Exit.die(defect)
    }
  }

  private decide(before: ConnectionRow, told: Told): Exit.Exit<Outcome, CallError> {
    const edit = told.edit?.(before) ?? {}
    if (edit instanceof CallError) return Exit.fail(edit)
    const edited: ConnectionRow = { ...before, ...edit }
    const { events, refused } = this.ask(edited, told.command)
    if (refused !== undefined) return Exit.fail(new CallError({ code: refused.code, message: refused.why }))
    if (events.length === 0 && told.edit === undefined) return Exit.succeed({ row: before, events })
    const counts = told.edit !== undefined || events.some((event) => !lookKeeping.has(event.type))
    const stamped = counts ? { ...edited, revision: before.revision + 1, updated_at: this.around.now } : edited
    const after = this.apply(stamped, events, told.headers ?? headersOf(before))
    this.rows.set(after.id, after)
    this.changed.set(after.id, after)
    return Exit.succeed({ row: after, events })
  }

  private ask(row: ConnectionRow, command: Command): Decision {
    const { now, timing } = this.around
    return decide(row, command, { now, timing, random: this.around.random(), held_by_another: this.isHeld(row) })
  }

  /** By a committed row, or by one that this very transaction lets win. */
  private isHeld(row: ConnectionRow): boolean {
    if (this.held.has(row.id)) return true
    for (const other of this.changed.values()) if (other.claimed && other.hostname === row.hostname && other.id !== row.id) return true
    return false
  }

  /** Also for a row that is about to be inserted. */
  apply(row: ConnectionRow, events: ReadonlyArray<Event>, headers: Headers): ConnectionRow {
    let after = row
    for (const event of events) {
      after = evolve(after, event) as ConnectionRow
      if (event.type === "StateEntered") this.entered.push(event.state)
      for (const { type, data } of publicEvents(event, after)) {
        after = { ...after, event_count: after.event_count + 1 }
        this.events.push({ event: envelope(after, type, data, this.around.now), headers })
      }
      for (const reaction of reactions(event, after)) this.reactions.push({ row: after, reaction, headers })
    }
    if (events.some((event) => reactions(event, after).some(({ to }) => to === "registry" || to === "edges"))) {
      const { key, entry } = registryEntry(after)
      this.registry.set(key, entry)
    }
    return after
  }
}

/** A deadline works for the request that made the connection, until it is live; what is watched for years is nobody's request. */
const headersOf = ({ state, made_by }: ConnectionRow): Headers =>
  made_by !== null && state !== "live" && state !== "drifted" && state !== "stalled" ? made_by : {}

/** Looks come and go without a change that a caller's precondition should fail for. */
const lookKeeping: ReadonlySet<Event["type"]> = new Set(["QuestionAsked", "LookScheduled", "RecordsSeen", "CertificateWanted"])

const notFound = Exit.fail(new CallError({ code: "not_found", message: "no such connection" }))

const envelope = (row: ConnectionRow, type: ConnectionEvent["type"], data: unknown, now: number): ConnectionEvent => ({
  id: uuidv7(),
  type,
  tenant_id: row.tenant_id,
  application_id: row.application_id,
  connection_id: row.id,
  environment: row.environment,
  sequence: row.event_count,
  data: data as ConnectionEvent["data"],
  occurred_at: new Date(now).toISOString()
})
