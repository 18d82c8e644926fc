/**
 * What happens when a connection is told something.
 *
 * Owns: the order in which the table's answer becomes facts: what is learnt, where it leads, what is asked next. Leaves to
 * `transitions.ts`: where it leads; to `evolve.ts`: what each fact changes; to the lifecycle service: committing it all at once.
 * Pure: the clock, chance and the holder of the claim are given.
 * Built against: an answer that arrives twice, late, or about a question that has been asked anew since. Such answers change nothing.
 */
import type { Command } from "./Command.ts"
import { isHopeless, waitsForCertificate } from "./certificateRecords.ts"
import type { Event } from "./Event.ts"
import { evolve, evolveAll } from "./evolve.ts"
import { type Circumstances, holds } from "./guards.ts"
import { learn } from "./learn.ts"
import { awaits, type Connection, type Question, type StateName } from "./State.ts"
import { afterAnswer, afterAsking } from "./schedule.ts"
import { rowsOf, type Transition } from "./transitions.ts"

export interface Decision {
  readonly connection: Connection
  readonly events: ReadonlyArray<Event>
  /** Set when the command was refused; then nothing happened. */
  readonly refused?: { readonly code: "no_credential" | "ownership_not_found"; readonly why: string }
}

export const decide = (connection: Connection, command: Command, circumstances: Circumstances): Decision => {
  if (isStale(connection, command, circumstances)) return { connection, events: [] }
  return obey(connection, command, circumstances)
}

/** An answer to a question that is no longer open, an alarm that was moved, a certificate of somebody else's claim. */
const isStale = (connection: Connection, command: Command, { now }: Circumstances): boolean => {
  switch (command.name) {
    case "DeadlineReached":
      return connection.next_check_at === null || connection.next_check_at > now
    case "OwnershipObserved":
    case "RecordsObserved":
      return command.version !== connection.attempt
    case "RecordsApplied":
      return command.version !== connection.open_write
    case "CertificateIssued":
      return !connection.claimed || command.claim_id !== connection.id || command.certificate_id === connection.certificate_id
    case "CertificateFailed":
      return !connection.claimed || command.claim_id !== connection.id
    case "CertificateNoted":
      return command.claim_id !== connection.id
    default:
      return false
  }
}

const obey = (connection: Connection, command: Command, circumstances: Circumstances): Decision => {
  const row = rowsOf(connection.state, command.name).find((each) => holds(each.when, connection, command, circumstances))
  if (row === undefined) throw new Error(`no transition for ${command.name} in ${connection.state}`)
  if (row.to === "refuse") {
    return { connection, events: [], refused: { code: connection.claimed ? "no_credential" : "ownership_not_found", why: row.why } }
  }
  if (row.to === "interrupted") return resume(connection, command, circumstances)
  return carryOut(connection, command, row, row.to, circumstances)
}

const carryOut = (
  before: Connection,
  command: Command,
  row: Transition,
  to: StateName | "stay",
  circumstances: Circumstances
): Decision => {
  const learnt = learn(before, command, row, circumstances)
  const wiser = evolveAll(before, learnt)
  if (to === "stay") return extend({ connection: wiser, events: learnt }, afterwards(wiser, command, circumstances))
  return extend({ connection: wiser, events: learnt }, [], (decision) => enter(decision, to, circumstances))
}

const extend = (decision: Decision, events: ReadonlyArray<Event>, next: (decision: Decision) => Decision = (same) => same): Decision =>
  next({ connection: evolveAll(decision.connection, events), events: [...decision.events, ...events] })

/** Into a state, and on through those that need nobody, up to the first that waits; there its question is asked. */
const enter = (decision: Decision, state: StateName, circumstances: Circumstances): Decision => {
  const { connection } = decision
  const entered = extend(decision, [
    { type: "StateEntered", state, interrupted: state === "stalled" ? connection.state : null, at: circumstances.now },
    ...milestones(connection, state)
  ])
  if (state === "verified") {
    const onward = obey(entered.connection, { name: "Proceed" }, circumstances)
    return { connection: onward.connection, events: [...entered.events, ...onward.events] }
  }
  // Live was looked at just now.
  if (state === "live") return extend(entered, reschedule(entered.connection, circumstances))
  const first: ReadonlyArray<Question> =
    state === "dns_writing" && connection.state === "verified" && waitsForCertificate(connection)
      ? ["certificate"]
      : awaits(entered.connection)
  return extend(entered, ask(entered.connection, first, "us", circumstances))
}

/** What the world is told on the way into a state. */
const milestones = (from: Connection, to: StateName): ReadonlyArray<Event> => {
  if (to === "verified") {
    const early: ReadonlyArray<Event> = isHopeless(from) ? [{ type: "CertificateWanted", why: "early", attempt: from.attempt }] : []
    return [{ type: "OwnershipProven" }, ...early]
  }
  if (to === "live") {
    if (from.state !== "drifted") return [{ type: "WentLive" }]
    return [{ type: "Recovered" }, { type: "CertificateWanted", why: "recovered", attempt: from.attempt }]
  }
  if (to === "archived") return [{ type: "Ended", error_code: from.error_code, claim_released: from.claimed }]
  if (to !== "failed") return []
  const waitedFor = from.interrupted ?? from.state
  const code = waitedFor === "drifted" ? "departed" : from.claimed ? "propagation_timeout" : "ownership_timeout"
  return [{ type: "Ended", error_code: code, claim_released: from.claimed }]
}

/** Back to the state that `stalled` interrupted. If the command moves nothing there, its question is asked. */
const resume = (stalled: Connection, command: Command, circumstances: Circumstances): Decision => {
  const back: Event = { type: "StateEntered", state: stalled.interrupted!, interrupted: null, at: circumstances.now }
  const resumed = evolve(stalled, back)
  const onward = obey(resumed, command, circumstances)
  const events = [back, ...onward.events]
  if (onward.events.some((event) => event.type === "StateEntered" || event.type === "QuestionAsked")) return { ...onward, events }
  return extend({ connection: onward.connection, events }, ask(onward.connection, awaits(onward.connection), "us", circumstances))
}

/** What follows a command that led to no other state. */
const afterwards = (connection: Connection, command: Command, circumstances: Circumstances): ReadonlyArray<Event> => {
  const open = awaits(connection)
  switch (command.name) {
    case "DeadlineReached":
      return ask(connection, onAlarm(connection), "us", circumstances)
    case "StartLook":
      return open.includes(command.question) || isWatchedOrder(connection, command)
        ? ask(connection, [command.question], "caller", circumstances)
        : []
    case "OwnershipObserved":
      return open.includes("ownership") ? reschedule(connection, circumstances) : []
    case "RecordsObserved":
      return open.includes("records") ? reschedule(connection, circumstances) : []
    case "RecordsApplied": {
      if (command.failure !== null)
        return open.length > 0 ? reschedule(connection, circumstances, command.failure.retry_after_seconds ?? 0) : []
      return ask(connection, connection.state === "issuing_cert" ? [...open, "records"] : open, "us", circumstances)
    }
    case "CertificateIssued":
      return connection.state === "issuing_cert" || isWriteDue(connection) ? ask(connection, open, "us", circumstances) : []
    case "CertificateFailed":
      if (isWriteDue(connection)) return ask(connection, open, "us", circumstances)
      return connection.state === "issuing_cert" ? ask(connection, ["records"], "us", circumstances) : []
    case "ApplyRecords":
      return connection.state === "dns_writing" ? [] : ask(connection, ["write"], "us", circumstances)
    default:
      return []
  }
}

/** The write has waited for the certificate; one that the provider put off waits for the provider. */
const isWriteDue = ({ state, open_write, error_code }: Connection): boolean =>
  state === "dns_writing" && open_write === null && error_code === null

const isWatchedOrder = (connection: Connection, command: Command): boolean =>
  command.name === "StartLook" && command.question === "records" && connection.state === "issuing_cert"

/** A challenge that is not seen minutes after it was written may have been removed: write it again. */
const rewriteChallengeFrom = 6

const onAlarm = (connection: Connection): ReadonlyArray<Question> => {
  const open = awaits(connection)
  // While an order runs, a look tells whether its failure would be the customer's.
  if (connection.state === "issuing_cert") return [...open, "records"]
  if (connection.state === "live" && connection.challenge_written) return [...open, "cleanup"]
  if (connection.state === "verifying" && connection.step >= rewriteChallengeFrom) return ["challenge"]
  return open
}

const ask = (
  connection: Connection,
  questions: ReadonlyArray<Question>,
  by: "us" | "caller",
  { now, random, timing }: Circumstances
): ReadonlyArray<Event> => {
  if (questions.length === 0) return []
  const next_check_at = afterAsking(connection, now, random, timing)
  return [{ type: "QuestionAsked", questions, by, attempt: connection.attempt + 1, step: connection.step + 1, next_check_at }]
}

const reschedule = (connection: Connection, { now, random, timing }: Circumstances, notBefore = 0): ReadonlyArray<Event> => [
  { type: "LookScheduled", next_check_at: afterAnswer(connection, now, random, timing, notBefore) }
]
