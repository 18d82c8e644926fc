/** Records for certificates: what is offered, what waits for them, and what never depends on them. */
import fc from "fast-check"
import { describe, expect, it, test } from "vitest"
import type { Command, Verdict } from "./Command.ts"
import { certificateRecords, judgedRecords, watchedRecords, writtenRecords } from "./certificateRecords.ts"
import { decide } from "./decide.ts"
import { publicEvents } from "./publicEvents.ts"
import type { Connection } from "./State.ts"
import { answer, born, certificate, circumstancesAt, reactionsTo, start } from "./testing.ts"

const web = { host: "shop.example.com", type: "CNAME" as const, value: "edge.example.net", ttl: 300 }
const delegation = { host: "_acme-challenge.shop.example.com", target: "label.acme.example.net" }
const persist = { host: "_validation-persist.shop.example.com", values: ["ca.example; accounturi=https://ca.example/1"] }
const target = { hostname: "shop.example.com", delegation, persist, credential: false }
const planned = (given: object = {}) => certificateRecords([web], { ...target, ...given })
const optional = planned()

describe("which records are offered", () => {
  it("offers the delegation and the lasting record, and waits for neither", () => {
    expect(optional).toEqual([
      { host: delegation.host, type: "CNAME", value: delegation.target, ttl: 300, required: false },
      { host: persist.host, type: "TXT", value: persist.values[0], ttl: 300, required: false }
    ])
    expect(planned({ delegation: null, persist: { host: persist.host, values: [] } })).toEqual([])
  })

  it("a wildcard without a credential waits for the delegation, since there is no other way", () => {
    const required = (given: object) => planned({ hostname: "*.example.com", ...given }).map((record) => record.required)
    expect(required({})).toEqual([undefined, false])
    expect(required({ credential: true })).toEqual([false, false])
  })

  it("leaves names alone that the plan itself uses", () => {
    const own = { host: delegation.host, type: "CNAME" as const, value: "their.own.example", ttl: 300 }
    expect(certificateRecords([web, own], target).map(({ host }) => host)).toEqual([persist.host])
  })

  it("a served domain is not judged by them, a required one neither", () => {
    const desired_records = [web, ...certificateRecords([web], { ...target, hostname: "*.example.com" })]
    const waiting = { state: "propagating" as const, certificate_id: null, desired_records }
    expect(judgedRecords(waiting)).toBe(desired_records)
    expect(judgedRecords({ ...waiting, state: "live" })).toEqual([web])
    const required = (given: Parameters<typeof watchedRecords>[0]) => watchedRecords(given).map((record) => record.required)
    expect(required({ ...waiting, state: "drifted" })).toEqual([undefined, false, false])
    // The certificate came by the lasting TXT: nobody needs the delegation any more.
    expect(required({ ...waiting, certificate_id: "k" })).toEqual([undefined, false, false])
  })

  it("writes the lasting record with the others, and leaves the customer's own use of _acme-challenge alone", () => {
    expect(writtenRecords({ desired_records: [web, ...optional] }).map(({ host }) => host)).toEqual([web.host, persist.host])
    const required = planned({ hostname: "*.example.com" })
    expect(writtenRecords({ desired_records: [web, ...required] })).toEqual([web, ...required])
  })
})

const seen = (connection: Connection, shows: (record: { readonly host: string }) => boolean) =>
  connection.desired_records.map((record) => ({
    ...{ host: record.host, type: record.type, value: record.value },
    propagated: shows(record),
    observed_value: null,
    observed_ttl: null,
    observed_at: new Date(start).toISOString()
  }))
const look = (connection: Connection, verdict: Verdict, shows: (record: { readonly host: string }) => boolean): Command => ({
  name: "RecordsObserved",
  version: connection.attempt,
  verdict,
  records: seen(connection, shows)
})
const tell = (connection: Connection, command: Command, now = start + 1_000) => decide(connection, command, circumstancesAt(now))
const proven = (given: Partial<Connection>) => {
  const { connection } = born(given)
  return tell(connection, { name: "OwnershipObserved", version: connection.attempt, verdict: "match" })
}
const ensures = ({ connection, events }: ReturnType<typeof tell>) =>
  reactionsTo(connection, events).filter((reaction) => reaction.to === "certifier")
const told = ({ connection, events }: ReturnType<typeof tell>) =>
  events.flatMap((event) => publicEvents(event, connection)).map(({ type }) => type)
const isOptional = ({ host }: { readonly host: string }) => host.startsWith("_")
const everyRecord = () => true

describe("a certificate before cut-over", () => {
  it("is asked for as soon as the delegation is seen, once, while the web records are still elsewhere", () => {
    const { connection } = proven({ desired_records: [web, ...optional] })
    const first = tell(connection, look(connection, "mismatch", isOptional))
    expect(ensures(first)).toEqual([{ to: "certifier", what: "ensure", id: expect.stringContaining("c1.early.") }])
    expect(first.connection.state).toBe("propagating")
    expect(ensures(tell(first.connection, look(first.connection, "mismatch", isOptional)))).toEqual([])
  })

  it("is stored, and then issuing_cert is passed without an order; both events come at live, once", () => {
    const { connection } = proven({ desired_records: [web, ...optional] })
    const asked = tell(connection, look(connection, "mismatch", isOptional)).connection
    const early = tell(asked, { name: "CertificateIssued", claim_id: "c1", certificate_id: "k", certificate: certificate("01") })
    expect(early.connection).toMatchObject({ state: "propagating", certificate_id: "k" })
    expect(told(early)).toEqual([])
    const moved = tell(early.connection, look(early.connection, "match", everyRecord))
    expect(reactionsTo(moved.connection, moved.events)).toEqual([{ to: "edges" }])
    const live = tell(moved.connection, { name: "EdgesReported", certificate_id: "k" })
    expect([live.connection.state, told(live)]).toEqual(["live", ["ssl.issued", "domain.flow.completed"]])
  })

  it("comes before the records that we write ourselves; its failure, or 15 s, let the write go on", () => {
    const writes = ({ connection, events }: ReturnType<typeof tell>) =>
      reactionsTo(connection, events).filter((reaction) => reaction.to === "provider")
    const asked = proven({ automatic: true, challenge_written: true })
    expect(asked.connection.state).toBe("dns_writing")
    expect([ensures(asked).length, writes(asked).length]).toEqual([1, 0])
    const came = tell(asked.connection, { name: "CertificateIssued", claim_id: "c1", certificate_id: "k", certificate: certificate("01") })
    expect(writes(came)).toMatchObject([{ purpose: "records" }])
    const failure = { ...certificate("x"), status: "failed" as const, not_before: null, last_error: "no" }
    const refused = tell(asked.connection, { name: "CertificateFailed", claim_id: "c1", certificate: failure })
    expect(writes(refused)).toMatchObject([{ purpose: "records" }])
    const due = asked.connection.next_check_at!
    expect(due - start).toBeLessThan(18_000)
    expect(writes(tell(asked.connection, { name: "DeadlineReached" }, due))).toMatchObject([{ purpose: "records" }])
    // Written already: a certificate that comes now writes nothing again.
    const late = tell(came.connection, { name: "CertificateIssued", claim_id: "c1", certificate_id: "k2", certificate: certificate("02") })
    expect(writes(late)).toEqual([])
  })

  it("does not hurry a provider that asked to wait", () => {
    const { connection } = proven({ automatic: true, challenge_written: true })
    const writing = tell(connection, { name: "DeadlineReached" }, connection.next_check_at!).connection
    const put = tell(writing, {
      ...{ name: "RecordsApplied", version: writing.open_write!, purpose: "records", provider: "m" },
      failure: { code: "rate_limited", retry_after_seconds: 60 }
    }).connection
    const came = tell(put, { name: "CertificateIssued", claim_id: "c1", certificate_id: "k", certificate: certificate("01") })
    expect(reactionsTo(came.connection, came.events)).toEqual([{ to: "registry", what: "hold" }])
  })

  it("is asked for at `verified` for a wildcard that has no way at all: its customer should learn why", () => {
    const wild = { ...web, host: "*.example.com" }
    expect(ensures(proven({ hostname: "*.example.com", desired_records: [wild] }))).toHaveLength(1)
    expect(ensures(proven({ hostname: "*.example.com", desired_records: [wild, ...optional] }))).toEqual([])
    expect(ensures(proven({ desired_records: [web, ...optional] }))).toEqual([])
  })

  it("that failed is nobody's alarm, and is tried again at once when the records are right", () => {
    const { connection } = proven({ automatic: true, challenge_written: true })
    const failure = { ...certificate("x"), status: "failed" as const, not_before: null, last_error: "no" }
    const failed = tell(connection, { name: "CertificateFailed", claim_id: "c1", certificate: failure })
    expect(told(failed)).toEqual([])
    expect(failed.connection.certificate.last_error).toBe("no")
    const { open_write } = failed.connection
    const written = tell(failed.connection, {
      name: "RecordsApplied",
      version: open_write!,
      purpose: "records",
      provider: "m",
      failure: null
    })
    const right = tell(written.connection, look(written.connection, "match", everyRecord))
    expect(ensures(right)).toMatchObject([{ what: "ensure", reason: "records_changed" }])
    const wild = proven({ hostname: "*.example.com" }).connection
    expect(told(tell(wild, { name: "CertificateFailed", claim_id: "c1", certificate: failure }))).toEqual(["ssl.failed"])
  })
})

describe("a certificate after the DNS recovered", () => {
  const live = (given: Partial<Connection> = {}): Connection => ({
    ...proven({}).connection,
    state: "live",
    certificate_id: "k",
    certificate: certificate("01"),
    ...given
  })

  it("is asked for when a drifted domain is back", () => {
    const drifted = live({ state: "drifted" })
    expect(ensures(tell(drifted, look(drifted, "match", everyRecord)))).toMatchObject([{ what: "ensure", reason: "records_changed" }])
  })

  it("is asked for when a miss clears and the certificate was in trouble; otherwise a match is nobody's news", () => {
    const troubled = live({ misses: 1, certificate: { ...certificate("01"), last_error: "the name does not lead to us" } })
    expect(ensures(tell(troubled, look(troubled, "match", everyRecord)))).toMatchObject([{ reason: "records_changed" }])
    const fine = live({ misses: 1 })
    expect(ensures(tell(fine, look(fine, "match", everyRecord)))).toEqual([])
  })
})

test("optional records, there, missing or wrong, never move a connection", () => {
  const step = fc.record({
    verdict: fc.constantFrom<Verdict>("match", "mismatch", "unknown"),
    shows: fc.boolean(),
    minutes: fc.constantFrom(0, 1, 60, 1_500, 11_000, 50_000),
    what: fc.constantFrom("look", "look", "alarm", "certificate", "edges", "proof")
  })
  const commandOf = (c: Connection, { verdict, shows, what }: { verdict: Verdict; shows: boolean; what: string }): Command => {
    if (what === "alarm") return { name: "DeadlineReached" }
    if (what === "proof") return { name: "OwnershipObserved", version: c.attempt, verdict }
    if (what === "certificate") return { name: "CertificateIssued", claim_id: c.id, certificate_id: "k", certificate: certificate("01") }
    if (what === "edges") return { name: "EdgesReported", certificate_id: "k" }
    return look(c, verdict, (record) => (isOptional(record) ? shows : verdict === "match"))
  }
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), fc.boolean(), (steps, automatic) => {
      let [plain, rich] = [born({ automatic }).connection, born({ automatic, desired_records: [web, ...optional] }).connection]
      let now = start
      for (const each of steps) {
        now += each.minutes * 60_000
        plain = tell(plain, commandOf(plain, each), now).connection
        rich = tell(rich, commandOf(rich, each), now).connection
        const { desired_records: _, observed_records: __, ...rest } = plain
        expect(rich).toMatchObject(rest)
      }
    }),
    { numRuns: 1_000 }
  )
})

test("the friendly world's answer to an early wish is a certificate", () => {
  const decision = proven({ automatic: true, challenge_written: true })
  const wish = ensures(decision)[0]!
  expect(answer(decision.connection, wish)).toMatchObject({ name: "CertificateIssued" })
})
