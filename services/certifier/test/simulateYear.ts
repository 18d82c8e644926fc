/**
 * A year of a fleet of names in seconds: the scheduling core (`decide.ts`, `planRenewal.ts`, `retryLadder.ts`, the choice among CAs) run
 * against simulated CAs, with nothing between them but a clock. The same seed gives the same year.
 *
 * Checked at every issuance: no name was ever without a valid certificate once it had one; never under a sixth of the life left while its
 * CA was there (A5); dead names cost one order a day at most (A7). Not checked here: evenness (A6, `src/planRenewal.test.ts`) and that a
 * name is given up at all (the service's integration tests).
 */
import { candidatesFor } from "../src/candidates.ts"
import { type AfterFailure, afterFailure, nextGlance, nextStep, planNext, windowOf } from "../src/decide.ts"
import { longestPollSeconds } from "../src/planRenewal.ts"
import type { FailureKind } from "../src/retryLadder.ts"
import { day, hour, SimulatedAuthority, type SimulatedCertificate } from "./SimulatedAuthority.ts"

export type Random = () => number

/** mulberry32 */
export const randomFrom = (seed: number): Random => {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 0x1_0000_0000
  }
}

export class Broken extends Error {}

interface Name {
  readonly index: number
  readonly created: number
  /** From here on its DNS leads elsewhere, until it is put right. */
  readonly dead: { readonly from: number; readonly to: number } | undefined
  /** Whether the pre-flight sees that; else the CA refuses. */
  readonly seen: boolean
  facts: {
    state: "wanted" | "held"
    replace_reason: null
    answer_owed: false
    paused_until: Date | null
    window_start: Date | null
    window_end: Date | null
  }
  failures: number
  failing_since: Date | null
  retryAt: number
  renewAt: number
  pausedView: boolean
  current: SimulatedCertificate | undefined
  deadOrders: Array<number>
  givenUp: Array<{ readonly from: number; to: number }>
}

export interface Year {
  readonly seed: number
  readonly names: number
  readonly issued: number
  readonly renewed: number
  readonly newOrders: number
  readonly revoked: number
  readonly outages: number
  readonly deadOrders: number
  readonly leastShareLeft: number
  readonly busiestHour: number
  /** Sum over all that happened: two runs of one seed agree in it. */
  readonly digest: number
}

const ends = 365 * day
const pauseAfterMillis = 7 * day

export const simulateYear = (seed: number, count: number): Year => {
  const random = randomFrom(seed)
  const authorities = [new SimulatedAuthority("first", random), new SimulatedAuthority("second", random)]
  const paused = new Map<string, Date>()
  const agenda = new Agenda()
  const names = Array.from({ length: count }, (_, index) => makeName(index, random))
  for (const name of names) agenda.put(name.created, name)
  const revocationAt = (100 + random() * 150) * day
  let revoked = -1
  let [issued, renewed, digest, leastShareLeft] = [0, 0, 0, 1]
  const perHour = new Map<number, number>()
  const broken = (name: Name, now: number, what: string) =>
    new Broken(`seed ${seed}: name ${name.index} on day ${(now / day).toFixed(2)}: ${what}`)

  const isDead = ({ dead }: Name, now: number) => dead !== undefined && now >= dead.from && now < dead.to
  const validUntil = ({ not_after, revocation }: SimulatedCertificate) =>
    Math.min(not_after.getTime(), revocation?.at ?? not_after.getTime())
  const checkServed = (name: Name, now: number) => {
    const { current, dead } = name
    if (current === undefined || (dead !== undefined && validUntil(current) > dead.from)) return
    if (validUntil(current) < now)
      throw broken(name, now, `without a valid certificate since day ${(validUntil(current) / day).toFixed(2)}`)
  }

  const settle = (name: Name, now: number, plan: ReturnType<typeof planNext>) => {
    Object.assign(name, { failures: 0, failing_since: null, retryAt: 0, renewAt: plan.renewAt.getTime() })
    Object.assign(name.facts, { paused_until: null, window_start: plan.window?.start ?? null, window_end: plan.window?.end ?? null })
    return Math.max(plan.dueAt.getTime(), now + 1)
  }

  const accept = (name: Name, now: number, certificate: SimulatedCertificate) => {
    checkServed(name, now)
    const former = name.current
    if (former !== undefined) {
      renewed++
      const life = former.not_after.getTime() - former.not_before.getTime()
      const left = (former.not_after.getTime() - now) / life
      const ca = authorities.find(({ directory }) => directory === former.directory)!
      if (name.dead === undefined && !ca.wasDown(name.renewAt, now)) {
        leastShareLeft = Math.min(leastShareLeft, left)
        // An hour: the certificate begins an hour before it is issued.
        if (left < 1 / 6 - hour / life) throw broken(name, now, `renewed with ${(left * 100).toFixed(1)} % of the life left`)
      }
      if (former.revocation === undefined) perHour.set(Math.floor(now / hour), (perHour.get(Math.floor(now / hour)) ?? 0) + 1)
    } else issued++
    name.current = certificate
    name.facts.state = "held"
    digest = (Math.imul(digest, 31) + Math.floor(now / 1000) + name.index) | 0
    const look = { now: new Date(now), hasWindow: true, maxPollSeconds: longestPollSeconds, random: random() }
    return settle(name, now, planNext(certificate, undefined, look))
  }

  const fail = (name: Name, now: number, kind: FailureKind, retryAfterSeconds = 0) => {
    const servedUntil = name.current?.not_after
    const attempt = { now: new Date(now), random: random(), retryAfterSeconds, pauseAfterMillis, servedUntil }
    const after: AfterFailure = afterFailure(name, kind, attempt)
    Object.assign(name, { failures: after.failures, failing_since: after.failingSince, retryAt: after.retryAt.getTime() })
    name.facts.paused_until = after.pausedUntil
    if (after.pausedUntil !== null) {
      name.pausedView = isDead(name, now)
      name.givenUp.push({ from: now, to: after.pausedUntil.getTime() })
    }
    return after.dueAt.getTime()
  }

  const order = (name: Name, now: number): number => {
    const dead = isDead(name, now)
    if (dead && name.seen) return fail(name, now, "blocked")
    for (const [directory, until] of paused) if (until.getTime() <= now) paused.delete(directory)
    const candidates = candidatesFor({ order_directory: null, replace_reason: null }, name.current, authorities, { now, paused })
    const until = paused.get(candidates[0]!.directory)
    if (until !== undefined && candidates[0]!.directory !== name.current?.directory)
      return fail(name, now, "limited", (until.getTime() - now) / 1000)
    let first: { readonly kind: FailureKind; readonly retryAfterSeconds: number } | undefined
    for (const authority of candidates) {
      if (dead && !authority.isDown(now)) {
        name.deadOrders.push(now)
        return fail(name, now, "refused")
      }
      const answer = authority.order(now, name.current?.directory === authority.directory)
      if (answer.kind === "issued") return accept(name, now, answer.certificate)
      const retryAfterSeconds = answer.kind === "limited" ? answer.retryAfterSeconds : 0
      if (answer.kind === "limited") paused.set(authority.directory, new Date(now + retryAfterSeconds * 1000))
      first ??= { kind: answer.kind, retryAfterSeconds }
    }
    return fail(name, now, first!.kind, first!.retryAfterSeconds)
  }

  const look = (name: Name, now: number, current: SimulatedCertificate): number => {
    const asked = authorities.find(({ directory }) => directory === current.directory)!.window(current, now)
    const options = { now: new Date(now), hasWindow: true, maxPollSeconds: longestPollSeconds, random: random(), retryAfterSeconds: 21_600 }
    const plan = planNext(current, asked ?? windowOf(name.facts), options)
    if (plan.renewAt.getTime() > now) return settle(name, now, plan)
    name.renewAt = now
    return order(name, now)
  }

  const attend = (name: Name, now: number): number => {
    const step = nextStep({ ...name.facts, held_back: name.retryAt > now }, false, name.current, new Date(now))
    if (step === "order") return order(name, now)
    if (step === "look") return look(name, now, name.current!)
    if (step === "wait") return name.retryAt
    if (step !== "glance") throw broken(name, now, `unexpected step ${step}`)
    if (isDead(name, now) === name.pausedView) return nextGlance(new Date(now), name.facts.paused_until!, random()).getTime()
    name.givenUp.at(-1)!.to = now
    Object.assign(name, { failures: 0, failing_since: null })
    return order(name, now)
  }

  for (let next = agenda.take(); next !== undefined && next.at < ends; next = agenda.take()) {
    if (revoked < 0 && next.at >= revocationAt) revoked = revokeEverything(authorities[0]!, next.at)
    agenda.put(Math.max(attend(next.name, next.at), next.at + 1), next.name)
  }
  for (const name of names) {
    checkServed(name, ends)
    if (name.dead === undefined && name.current === undefined) throw broken(name, ends, "never got a certificate")
    checkDeadOrders(name, (now, what) => broken(name, now, what))
  }
  return {
    seed,
    names: count,
    issued,
    renewed,
    newOrders: authorities.reduce((sum, { newOrders }) => sum + newOrders, 0),
    revoked,
    outages: authorities.reduce((sum, { outages }) => sum + outages.length, 0),
    deadOrders: names.reduce((sum, { deadOrders }) => sum + deadOrders.length, 0),
    leastShareLeft,
    busiestHour: Math.max(...perHour.values()),
    digest
  }
}

/** The grace is what CAs must give (24 hours), and never shorter than an outage that has just begun. */
const revokeEverything = (authority: SimulatedAuthority, now: number): number => {
  const over = authority.outages.find(({ from, to }) => from < now + 2 * day && to > now)?.to ?? now
  return authority.revokeAll(now, over - now + day)
}

const makeName = (index: number, random: Random): Name => {
  // All of them within an hour: the worst that can happen to the spread.
  const created = random() * hour
  const from = (1 + random() * 300) * day
  const dead = random() < 0.03 ? { from: random() < 0.5 ? 0 : from, to: from + random() * 200 * day } : undefined
  return {
    index,
    created,
    dead,
    seen: random() < 0.5,
    facts: { state: "wanted", replace_reason: null, answer_owed: false, paused_until: null, window_start: null, window_end: null },
    failures: 0,
    failing_since: null,
    retryAt: 0,
    renewAt: 0,
    pausedView: false,
    current: undefined,
    deadOrders: [],
    givenUp: []
  }
}

/** A7: after the ladder one order a day, and none while given up. */
const checkDeadOrders = ({ deadOrders, givenUp }: Name, broken: (now: number, what: string) => Error) => {
  for (const [index, at] of deadOrders.entries()) {
    if (givenUp.some(({ from, to }) => at > from && at < to)) throw broken(at, "an order while given up")
    const fifth = deadOrders[index - 4]
    if (fifth !== undefined && at - fifth < 0.9 * day) throw broken(at, "more than one order a day for a dead name")
  }
}

/** What is due next: a binary heap; equal instants in the order of names, so that a year can be repeated. */
class Agenda {
  readonly #heap: Array<{ readonly at: number; readonly name: Name }> = []
  #before(a: number, b: number): boolean {
    const [x, y] = [this.#heap[a]!, this.#heap[b]!]
    return x.at < y.at || (x.at === y.at && x.name.index < y.name.index)
  }
  #swap(a: number, b: number): void {
    const kept = this.#heap[a]!
    this.#heap[a] = this.#heap[b]!
    this.#heap[b] = kept
  }
  put(at: number, name: Name): void {
    let here = this.#heap.push({ at, name }) - 1
    while (here > 0 && this.#before(here, (here - 1) >> 1)) {
      this.#swap(here, (here - 1) >> 1)
      here = (here - 1) >> 1
    }
  }
  take(): { readonly at: number; readonly name: Name } | undefined {
    const first = this.#heap[0]
    const last = this.#heap.pop()
    if (first === undefined || last === undefined || this.#heap.length === 0) return first
    this.#heap[0] = last
    for (let here = 0; ; ) {
      const [left, right] = [2 * here + 1, 2 * here + 2]
      let least = here
      if (left < this.#heap.length && this.#before(left, least)) least = left
      if (right < this.#heap.length && this.#before(right, least)) least = right
      if (least === here) return first
      this.#swap(here, least)
      here = least
    }
  }
}
