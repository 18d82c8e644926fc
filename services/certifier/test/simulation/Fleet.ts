/**
 * A fleet of names and the scheduling core (`decide.ts`, `planRenewal.ts`, `retryLadder.ts`, the choice among CAs) run against simulated
 * CAs, with nothing between them but a clock.
 *
 * Owns: attending to what is due, as `attendClaim.ts` does it. Leaves to the scenarios (`simulateYear.ts`, `simulateDeadNames.ts`,
 * `simulateSpread.ts`, `simulateOutage.ts`): names, CAs, how long; to `checks.ts`: what must hold.
 */
import { candidatesFor } from "../../src/candidates.ts"
import { afterFailure, nextGlance, nextStep, planNext, windowOf } from "../../src/decide.ts"
import { longestPollSeconds } from "../../src/planRenewal.ts"
import type { FailureKind } from "../../src/retryLadder.ts"
import { Agenda } from "./Agenda.ts"
import { Broken, checkRenewal, checkServed } from "./checks.ts"
import type { Random } from "./random.ts"
import { day, hour, type SimulatedAuthority, type SimulatedCertificate } from "./SimulatedAuthority.ts"
import { isDead, type SimulatedName } from "./SimulatedName.ts"

export interface FleetOptions {
  readonly seed: number
  readonly random: Random
  readonly names: ReadonlyArray<SimulatedName>
  /** The preferred one first. */
  readonly authorities: ReadonlyArray<SimulatedAuthority>
  readonly pauseAfterMillis?: number
}

export class Fleet {
  readonly names: ReadonlyArray<SimulatedName>
  readonly authorities: ReadonlyArray<SimulatedAuthority>
  issued = 0
  renewed = 0
  leastShareLeft = 1
  /** Renewals by the hour, those of revoked certificates left out. */
  readonly perHour = new Map<number, number>()
  /** Sum over all that happened: two runs of one seed agree in it. */
  digest = 0
  readonly #options: FleetOptions
  readonly #paused = new Map<string, Date>()
  readonly #agenda = new Agenda()

  constructor(options: FleetOptions) {
    this.#options = options
    this.names = options.names
    this.authorities = options.authorities
    for (const name of options.names) this.#agenda.put(name.created, name.index)
  }

  /** Does all that is due before `until`. */
  run(until: number): void {
    while (this.#agenda.nextAt < until) {
      const now = this.#agenda.nextAt
      const name = this.names[this.#agenda.take()]!
      this.#agenda.put(Math.max(this.#attend(name, now), now + 1), name.index)
    }
  }

  get busiestHour(): number {
    return Math.max(0, ...this.perHour.values())
  }

  broken(name: SimulatedName, now: number, what: string): Broken {
    return new Broken(`seed ${this.#options.seed}: name ${name.index} on day ${(now / day).toFixed(2)}: ${what}`)
  }

  /** As `attendClaim.ts`: gives back when the name is due again. */
  #attend(name: SimulatedName, now: number): number {
    const step = nextStep({ ...name.facts, held_back: name.retryAt > now }, false, name.current, new Date(now))
    if (step === "order") return this.#order(name, now)
    if (step === "look") return this.#look(name, now, name.current!)
    if (step === "wait") return name.retryAt
    if (step !== "glance") throw this.broken(name, now, `unexpected step ${step}`)
    if (isDead(name, now) === name.pausedView) return nextGlance(new Date(now), name.facts.paused_until!, this.#options.random()).getTime()
    name.givenUp.at(-1)!.to = now
    name.failures = 0
    name.failing_since = null
    return this.#order(name, now)
  }

  #order(name: SimulatedName, now: number): number {
    const dead = isDead(name, now)
    if (dead && name.seen) return this.#fail(name, now, "blocked")
    for (const [directory, until] of this.#paused) if (until.getTime() <= now) this.#paused.delete(directory)
    const claim = { order_directory: null, replace_reason: null }
    const candidates = candidatesFor(claim, name.current, this.authorities, { now, paused: this.#paused })
    const until = this.#paused.get(candidates[0]!.directory)
    if (until !== undefined && candidates[0]!.directory !== name.current?.directory)
      return this.#fail(name, now, "limited", (until.getTime() - now) / 1000)
    let first: { readonly kind: FailureKind; readonly retryAfterSeconds: number } | undefined
    for (const authority of candidates) {
      if (dead && !authority.isDown(now)) {
        name.deadOrders.push(now)
        return this.#fail(name, now, "refused")
      }
      const answer = authority.order(now, name.current?.directory === authority.directory)
      if (answer.kind === "issued") return this.#accept(name, now, answer.certificate)
      const retryAfterSeconds = answer.kind === "limited" ? answer.retryAfterSeconds : 0
      if (answer.kind === "limited") this.#paused.set(authority.directory, new Date(now + retryAfterSeconds * 1000))
      first ??= { kind: answer.kind, retryAfterSeconds }
    }
    return this.#fail(name, now, first!.kind, first!.retryAfterSeconds)
  }

  #look(name: SimulatedName, now: number, current: SimulatedCertificate): number {
    const asked = this.#authorityOf(current).window(current, now)
    // As seldom as the certifier ever asks, whatever the CA says: half the work, and the worst case.
    const options = { now: new Date(now), hasWindow: true, maxPollSeconds: longestPollSeconds, random: this.#options.random() }
    const plan = planNext(current, asked ?? windowOf(name.facts), { ...options, retryAfterSeconds: longestPollSeconds })
    if (plan.renewAt.getTime() > now) return this.#settle(name, now, plan)
    name.renewAt = now
    return this.#order(name, now)
  }

  #accept(name: SimulatedName, now: number, certificate: SimulatedCertificate): number {
    const { random } = this.#options
    checkServed(this, name, now)
    const former = name.current
    if (former === undefined) this.issued++
    else {
      this.renewed++
      checkRenewal(this, name, former, this.#authorityOf(former), now)
      if (former.revocation === undefined) this.#count(now)
    }
    name.current = certificate
    name.facts.state = "held"
    this.digest = (Math.imul(this.digest, 31) + Math.floor(now / 1000) + name.index) | 0
    const look = { now: new Date(now), hasWindow: true, maxPollSeconds: longestPollSeconds, random: random() }
    return this.#settle(name, now, planNext(certificate, undefined, look))
  }

  #settle(name: SimulatedName, now: number, plan: ReturnType<typeof planNext>): number {
    name.failures = 0
    name.failing_since = null
    name.retryAt = 0
    name.renewAt = plan.renewAt.getTime()
    name.facts.paused_until = null
    name.facts.window_start = plan.window?.start ?? null
    name.facts.window_end = plan.window?.end ?? null
    return Math.max(plan.dueAt.getTime(), now + 1)
  }

  #fail(name: SimulatedName, now: number, kind: FailureKind, retryAfterSeconds = 0): number {
    const { random, pauseAfterMillis = 7 * day } = this.#options
    const after = afterFailure(name, kind, {
      now: new Date(now),
      random: random(),
      retryAfterSeconds,
      pauseAfterMillis,
      served: name.current,
      hurried: false
    })
    name.failures = after.failures
    name.failing_since = after.failingSince
    name.retryAt = after.retryAt.getTime()
    name.facts.paused_until = after.pausedUntil
    if (after.pausedUntil !== null) {
      name.pausedView = isDead(name, now)
      name.givenUp.push({ from: now, to: after.pausedUntil.getTime() })
    }
    return after.dueAt.getTime()
  }

  #authorityOf({ directory }: SimulatedCertificate): SimulatedAuthority {
    return this.authorities.find((each) => each.directory === directory)!
  }

  #count(now: number): void {
    const slot = Math.floor(now / hour)
    this.perHour.set(slot, (this.perHour.get(slot) ?? 0) + 1)
  }
}
