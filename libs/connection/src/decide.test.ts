/** A connection's life by examples: the ways to live, drift and failure, and answers that come late, twice or never. */
import { describe, expect, it } from "vitest"
import type { Command } from "./Command.ts"
import { type Decision, decide } from "./decide.ts"
import { publicEvents } from "./publicEvents.ts"
import type { Reaction } from "./reactions.ts"
import { type Connection, noCertificate } from "./State.ts"
import { failedAfter, stalledAfter } from "./schedule.ts"
import { answer, born, certificate, circumstancesAt, reactionsTo, seen, start } from "./testing.ts"

const tell = (connection: Connection, command: Command, now = start + 1_000, held = false): Decision =>
  decide(connection, command, circumstancesAt(now, held))

const told = (decision: Decision): ReadonlyArray<string> =>
  decision.events.flatMap((event) => publicEvents(event, decision.connection)).map((event) => event.type)

/** Lets a friendly world answer until nothing is asked any more; returns the states on the way and the public events. */
const walk = (first: Decision): { states: Array<string>; events: Array<string>; connection: Connection } => {
  const states: Array<string> = []
  const events: Array<string> = []
  const asked: Array<Reaction> = []
  let decision = first
  for (let round = 0; round < 40; round++) {
    for (const event of decision.events) if (event.type === "StateEntered") states.push(event.state)
    events.push(...told(decision))
    asked.push(...reactionsTo(decision.connection, decision.events))
    const next = asked.shift()
    if (next === undefined) break
    const command = answer(decision.connection, next)
    decision = command === undefined ? { connection: decision.connection, events: [] } : tell(decision.connection, command)
  }
  return { states, events, connection: decision.connection }
}

const live = () => walk(born()).connection

describe("decide", () => {
  it("walks a manual connection to live", () => {
    const { states, events } = walk(born())
    expect(states).toEqual(["pending_ownership", "verified", "propagating", "issuing_cert", "live"])
    expect(events).toEqual(["domain.verified", "ssl.issued", "domain.flow.completed"])
  })

  it("walks an automatic connection to live, and removes the challenge there", () => {
    const { states, events, connection } = walk(born({ automatic: true }))
    expect(states).toEqual(["verifying", "verified", "dns_writing", "propagating", "issuing_cert", "live"])
    expect(events).toEqual(["domain.verified", "domain.added", "ssl.issued", "domain.flow.completed"])
    expect(connection.challenge_written).toBe(false)
    const forgotten = { ...connection, challenge_written: true, next_check_at: start }
    const again = tell(forgotten, { name: "DeadlineReached" })
    expect(reactionsTo(again.connection, again.events)).toMatchObject([{ look: "records" }, { purpose: "cleanup" }])
  })

  it("passes issuing_cert without an order when a certificate came early", () => {
    const verified = tell(born().connection, { name: "OwnershipObserved", version: 1, verdict: "match" }).connection
    const early = tell(verified, { name: "CertificateIssued", claim_id: "c1", certificate_id: "early", certificate: certificate("02") })
    expect(reactionsTo(early.connection, early.events)).toEqual([{ to: "registry", what: "hold" }])
    const records: Command = { name: "RecordsObserved", version: early.connection.attempt, verdict: "match", records: [] }
    const issuing = tell(early.connection, records)
    expect(issuing.connection.state).toBe("issuing_cert")
    expect(reactionsTo(issuing.connection, issuing.events)).toEqual([{ to: "edges" }])
  })

  it("needs two misses in a row to drift, ten seconds apart, and one match to recover", () => {
    const miss = (connection: Connection): Decision =>
      tell(connection, { name: "RecordsObserved", version: connection.attempt, verdict: "mismatch", records: seen(connection, false) })
    const first = miss(live())
    expect(first.connection).toMatchObject({ state: "live", misses: 1, next_check_at: start + 11_000 })
    const cleared = tell(first.connection, { name: "RecordsObserved", version: first.connection.attempt, verdict: "match", records: [] })
    expect(cleared.connection.misses).toBe(0)
    const unknown = tell(first.connection, { name: "RecordsObserved", version: first.connection.attempt, verdict: "unknown", records: [] })
    expect(unknown.connection.misses).toBe(1)
    const second = miss(first.connection)
    expect(second.connection.state).toBe("drifted")
    expect(told(second)).toEqual(["domain.drift"])
    const back = tell(second.connection, { name: "RecordsObserved", version: second.connection.attempt, verdict: "match", records: [] })
    expect(back.connection.state).toBe("live")
    expect(told(back)).toEqual(["domain.recovered"])
  })

  it("keeps the loser of a race pending, and lets him win when the holder is gone", () => {
    const proof = (connection: Connection): Command => ({ name: "OwnershipObserved", version: connection.attempt, verdict: "match" })
    const first = born().connection
    const lost = tell(first, proof(first), start, true).connection
    expect(lost).toMatchObject({ state: "pending_ownership", claimed: false, error_code: "HostnameConflict", next_check_at: start + 2_000 })
    expect(tell(lost, proof(lost)).connection).toMatchObject({ state: "propagating", claimed: true, error_code: null })
  })

  it("goes back to propagating when records are lost while the CA works", () => {
    const issuing = { ...live(), state: "issuing_cert" as const, certificate_id: null }
    const lost = tell(issuing, { name: "RecordsObserved", version: issuing.attempt, verdict: "mismatch", records: [] })
    expect(lost.connection.state).toBe("propagating")
  })

  it("tells a certificate's failure once per attempt, and renewals as such", () => {
    const failure = { ...certificate("01"), status: "failed" as const, last_error: "CAA forbids", next_attempt_at: "2026-01-01T00:10:00Z" }
    const failed = tell(live(), { name: "CertificateFailed", claim_id: "c1", certificate: failure })
    expect(told(failed)).toEqual(["ssl.failed"])
    expect(failed.connection.state).toBe("live")
    expect(told(tell(failed.connection, { name: "CertificateFailed", claim_id: "c1", certificate: failure }))).toEqual([])
    const renewal: Command = {
      name: "CertificateIssued",
      claim_id: "c1",
      certificate_id: "next",
      certificate: certificate("03", start + 1)
    }
    expect(told(tell(failed.connection, renewal))).toEqual(["ssl.renewed"])
    const late: Command = {
      name: "CertificateNoted",
      claim_id: "c1",
      certificate: { ...noCertificate, status: "pending" },
      destroyed: false
    }
    expect(tell(failed.connection, late).events).toEqual([])
    const foreign: Command = { ...renewal, claim_id: "other" }
    expect(tell(failed.connection, foreign).events).toEqual([])
  })

  it("A9: shows a revoked certificate as such until its successor is stored, whatever arrives late", () => {
    const first = live()
    const noted = (status: "revoked" | "renewing"): Command => ({
      name: "CertificateNoted",
      claim_id: "c1",
      certificate: { ...first.certificate, status },
      destroyed: false
    })
    const revoked = tell(first, noted("revoked"))
    expect([revoked.connection.state, revoked.connection.certificate.status]).toEqual(["live", "revoked"])
    expect(told(revoked)).toEqual([])
    expect(tell(revoked.connection, noted("renewing")).events).toEqual([])
    const next = certificate("03", start + 1)
    const renewed = tell(revoked.connection, { name: "CertificateIssued", claim_id: "c1", certificate_id: "next", certificate: next })
    expect([renewed.connection.certificate.status, told(renewed)]).toEqual(["issued", ["ssl.renewed"]])
    expect(tell(renewed.connection, noted("revoked")).events).toEqual([])
  })

  it("hands over to the customer when a provider refuses for good, and tries again when it is down", () => {
    const verifying = born({ automatic: true }).connection
    const failing = (code: "access_denied" | "unavailable", retry_after_seconds: number | null): Command => ({
      name: "RecordsApplied",
      version: verifying.attempt,
      purpose: "challenge",
      provider: null,
      failure: { code, retry_after_seconds }
    })
    expect(tell(verifying, failing("access_denied", null)).connection).toMatchObject({
      state: "pending_ownership",
      error_code: "access_denied"
    })
    expect(tell(verifying, failing("unavailable", 100)).connection).toMatchObject({ state: "verifying", next_check_at: start + 101_000 })
  })

  it("releases the claim on archive, once", () => {
    const archived = tell(live(), { name: "Archive" })
    expect(told(archived)).toEqual(["domain.archived"])
    expect(reactionsTo(archived.connection, archived.events)).toEqual([
      { to: "registry", what: "release" },
      { to: "certifier", what: "release", id: "c1.release" }
    ])
    expect(tell(archived.connection, { name: "Archive" }).events).toEqual([])
  })

  it("refuses to write without proof or credential", () => {
    expect(tell(born().connection, { name: "ApplyRecords", has_credential: true }).refused?.code).toBe("ownership_not_found")
    expect(tell(live(), { name: "ApplyRecords", has_credential: false }).refused?.code).toBe("no_credential")
    const applied = tell(live(), { name: "ApplyRecords", has_credential: true })
    expect(reactionsTo(applied.connection, applied.events)).toMatchObject([{ to: "provider", purpose: "records" }])
  })

  it("follows the cadence, stalls after a day and fails after a week", () => {
    let { connection } = born()
    const at: Array<[number, string]> = []
    for (let now = start; connection.state !== "failed"; now = connection.next_check_at ?? now) {
      at.push([(now - start) / 1_000, connection.state])
      connection = tell(connection, { name: "DeadlineReached" }, now).connection
      connection = tell(connection, { name: "OwnershipObserved", version: connection.attempt, verdict: "mismatch" }, now).connection
    }
    const gaps = at.slice(2, 15).map(([seconds], index) => Math.round(seconds - at[index + 1]![0]))
    expect(gaps.slice(0, 12)).toEqual([5, 10, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 3600])
    expect(at.find(([, state]) => state === "stalled")?.[0]).toBeGreaterThan(stalledAfter / 1_000)
    expect(at.filter(([, state]) => state === "pending_ownership").at(-1)![0]).toBe(stalledAfter / 1_000)
    expect(at.at(-1)![0]).toBe(failedAfter / 1_000)
    expect(connection).toMatchObject({ error_code: "ownership_timeout", claimed: false, next_check_at: null })
  })

  it("calls a domain departed after 30 days of drift", () => {
    const drifted = { ...live(), state: "drifted" as const, entered_at: start, next_check_at: start }
    const departed = tell(drifted, { name: "DeadlineReached" }, start + 30 * 86_400_000)
    expect(departed.connection).toMatchObject({ state: "failed", error_code: "departed", claimed: false })
    expect(told(departed)).toEqual(["domain.failed"])
  })

  it("carries a stalled connection on where it stopped", () => {
    const stalled: Connection = { ...born().connection, state: "stalled", interrupted: "pending_ownership" }
    const proven = tell(stalled, { name: "OwnershipObserved", version: stalled.attempt, verdict: "match" })
    expect(proven.events.filter((event) => event.type === "StateEntered").map((event) => event.state)).toEqual([
      "pending_ownership",
      "verified",
      "propagating"
    ])
    const waiting: Connection = { ...proven.connection, state: "stalled", interrupted: "propagating" }
    const more = tell(waiting, { name: "RecordsObserved", version: waiting.attempt, verdict: "mismatch", records: seen(waiting, true) })
    expect(more.connection).toMatchObject({ state: "propagating", progress_at: start + 1_000 })
  })
})
