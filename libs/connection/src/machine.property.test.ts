/** Whatever is told in whatever order: what must hold of the machine. Two tenants, one hostname, a unique index as in the database. */
import fc from "fast-check"
import { expect, it } from "vitest"
import type { Command } from "./Command.ts"
import { decide } from "./decide.ts"
import type { Event } from "./Event.ts"
import type { Connection } from "./State.ts"
import { answer, born, certificate, circumstancesAt, reactionsTo, seen, start } from "./testing.ts"

const verdict = fc.constantFrom("match" as const, "match" as const, "mismatch" as const, "unknown" as const)
/** 0: answers the open question; above: an older one. */
const age = fc.constantFrom(0, 0, 0, 1, 2)
const failure = fc.option(fc.constantFrom("unavailable" as const, "access_denied" as const), { freq: 2 })

type Draft = (connection: Connection) => Command
const drafts: fc.Arbitrary<Draft> = fc.oneof(
  fc.constant<Draft>(() => ({ name: "DeadlineReached" })),
  fc.constantFrom<Draft>(
    () => ({ name: "StartLook", question: "ownership" }),
    () => ({ name: "StartLook", question: "records" })
  ),
  fc.tuple(verdict, age).map(
    ([verdict, age]): Draft =>
      (c) => ({ name: "OwnershipObserved", version: c.attempt - age, verdict })
  ),
  fc.tuple(verdict, age).map(
    ([verdict, age]): Draft =>
      (c) => ({ name: "RecordsObserved", version: c.attempt - age, verdict, records: seen(c, verdict === "match") })
  ),
  fc.tuple(failure, age, fc.constantFrom("challenge" as const, "records" as const)).map(
    ([code, age, purpose]): Draft =>
      (c) => ({
        name: "RecordsApplied",
        version: (c.open_write ?? c.attempt) - age,
        purpose,
        provider: "memory",
        failure: code === null ? null : { code, retry_after_seconds: null }
      })
  ),
  fc.tuple(fc.constantFrom("k1", "k2"), fc.boolean()).map(
    ([id, own]): Draft =>
      (c) => ({
        name: "CertificateIssued",
        claim_id: own ? c.id : "elsewhere",
        certificate_id: id,
        certificate: certificate(id)
      })
  ),
  fc.constant<Draft>((c) => ({ name: "CertificateFailed", claim_id: c.id, certificate: { ...certificate("x"), status: "failed" } })),
  fc.constantFrom("k1", "k2").map(
    (id): Draft =>
      () => ({ name: "EdgesReported", certificate_id: id })
  ),
  fc.boolean().map(
    (has_credential): Draft =>
      () => ({ name: "ApplyRecords", has_credential })
  ),
  fc.constantFrom<Draft>(
    () => ({ name: "UpdateRouting" }),
    () => ({ name: "Proceed" })
  ),
  fc.constant<Draft>(() => ({ name: "Archive" }))
)

const story = fc.array(
  fc.record({
    who: fc.nat(1),
    draft: drafts,
    minutes: fc.constantFrom(0, 0, 0, 1, 60, 1_500, 11_000, 50_000),
    again: fc.constantFrom(false, false, true)
  }),
  { minLength: 1, maxLength: 60 }
)

interface World {
  now: number
  readonly connections: Array<Connection>
  readonly histories: Array<Array<Event>>
}

const newWorld = (): World => {
  const first = [born({ id: "a" }), born({ id: "b", automatic: true })]
  return { now: start, connections: first.map((each) => each.connection), histories: first.map((each) => [...each.events]) }
}

/** One transaction: decided on what was read, refused by the unique index if somebody else's claim was missed, then decided again. */
const tell = (world: World, who: number, command: Command, random: number): void => {
  const held = world.connections.some((other, index) => index !== who && other.claimed)
  const blind = decide(world.connections[who]!, command, circumstancesAt(world.now, false, random))
  const violates = blind.connection.claimed && held
  const decision = violates ? decide(world.connections[who]!, command, circumstancesAt(world.now, true, random)) : blind
  world.connections[who] = decision.connection
  world.histories[who]!.push(...decision.events)
}

const claimedStates = new Set(["verified", "dns_writing", "propagating", "issuing_cert", "live", "drifted"])

const check = (world: World): void => {
  expect(world.connections.filter((each) => each.claimed).length, "one claim per name").toBeLessThanOrEqual(1)
  for (const [index, connection] of world.connections.entries()) {
    const history = world.histories[index]!
    const ended = connection.state === "failed" || connection.state === "archived"
    expect(connection.claimed, "a claim goes with the state").toBe(claimedStates.has(connection.interrupted ?? connection.state))
    if (connection.state === "live") expect(history.some((event) => event.type === "CertificateStored")).toBe(true)
    if (!ended) expect(connection.next_check_at, "an alarm is set while anything is open").not.toBeNull()
    expect(history.filter((event) => event.type === "WentLive").length, "live is reached once").toBeLessThanOrEqual(1)
    expect(["created", "verified"]).not.toContain(connection.state)
  }
}

const play = (
  steps: ReadonlyArray<{ who: number; draft: Draft; minutes: number; again: boolean }>,
  after: (world: World) => void
): World => {
  const world = newWorld()
  for (const { who, draft, minutes, again } of steps) {
    world.now += minutes * 60_000
    const command = draft(world.connections[who]!)
    tell(world, who, command, 0.3)
    if (again) tell(world, who, command, 0.7)
    after(world)
  }
  return world
}

it("keeps its promises under any order, repetition and delay", () => {
  fc.assert(
    fc.property(story, (steps) => void play(steps, check)),
    { numRuns: 2_000 }
  )
})

it("counts a look once, however often its answer arrives", () => {
  const answers = (c: Connection): ReadonlyArray<Command> => [
    { name: "OwnershipObserved", version: c.attempt, verdict: "mismatch" },
    { name: "RecordsObserved", version: c.attempt, verdict: "mismatch", records: seen(c, false) },
    { name: "RecordsObserved", version: c.attempt, verdict: "match", records: seen(c, true) }
  ]
  fc.assert(
    fc.property(story, (steps) => {
      play(steps, ({ now, connections }) => {
        for (const connection of connections) {
          for (const command of answers(connection)) {
            const once = decide(connection, command, circumstancesAt(now)).connection
            const twice = decide(once, command, circumstancesAt(now)).connection
            expect(twice).toEqual(once)
          }
        }
      })
    }),
    { numRuns: 200 }
  )
})

it("never leaves archived", () => {
  fc.assert(
    fc.property(story, (steps) => {
      let archived = false
      play(steps, (world) => {
        if (archived) expect(world.connections[0]!.state).toBe("archived")
        archived ||= world.connections[0]!.state === "archived"
      })
    }),
    { numRuns: 500 }
  )
})

it("learns nothing from a stale answer", () => {
  const stale = (connection: Connection): ReadonlyArray<Command> => [
    { name: "OwnershipObserved", version: connection.attempt - 1, verdict: "match" },
    { name: "RecordsObserved", version: connection.attempt + 1, verdict: "match", records: [] },
    { name: "RecordsApplied", version: -1, purpose: "records", provider: null, failure: null },
    { name: "CertificateIssued", claim_id: "elsewhere", certificate_id: "k9", certificate: certificate("k9") }
  ]
  fc.assert(
    fc.property(story, (steps) => {
      play(steps, (world) => {
        for (const connection of world.connections) {
          for (const command of stale(connection)) expect(decide(connection, command, circumstancesAt(world.now)).events).toEqual([])
        }
      })
    }),
    { numRuns: 200 }
  )
})

it("ends live, whatever came before, once the world is friendly", () => {
  fc.assert(
    fc.property(story, (steps) => {
      const world = play(steps, () => {})
      const who = world.connections.findIndex((each) => each.claimed)
      if (who < 0) return
      for (let round = 0; round < 40 && world.connections[who]!.state !== "live"; round++) {
        world.now = Math.max(world.now, world.connections[who]!.next_check_at ?? world.now)
        const before = world.histories[who]!.length
        tell(world, who, { name: "DeadlineReached" }, 0.5)
        for (let next = before; next < world.histories[who]!.length; next++) {
          const connection = world.connections[who]!
          for (const reaction of reactionsTo(connection, [world.histories[who]![next]!])) {
            const command = answer(connection, reaction)
            if (command !== undefined) tell(world, who, command, 0.5)
          }
        }
        if (world.connections[who]!.error_code === "departed" || world.connections[who]!.error_code === "propagation_timeout") return
      }
      expect(world.connections[who]!.state).toBe("live")
    }),
    { numRuns: 500 }
  )
})
