/**
 * A certificate authority of the simulation: lifetimes that change, outages, limits on new orders, a mass revocation.
 *
 * Owns: what it answers at an instant. All times in milliseconds since the simulation's beginning. Everything follows from the seed.
 */
import type { Random } from "./random.ts"

export const hour = 3_600_000
export const day = 24 * hour

export interface SimulatedCertificate {
  readonly id: string
  readonly directory: string
  readonly not_before: Date
  readonly not_after: Date
  /** Once the CA has said that it will revoke it: when it does. */
  revocation?: { readonly at: number }
}

export type OrderAnswer =
  | { readonly kind: "issued"; readonly certificate: SimulatedCertificate }
  | { readonly kind: "unavailable" }
  | { readonly kind: "limited"; readonly retryAfterSeconds: number }

/** 90 → 64 → 45 days → 160 hours, as announced for the years to come, in one year. */
const lifetimes = (random: Random) => {
  const changes = [60 + random() * 40, 150 + random() * 40, 270 + random() * 40].map((at) => at * day)
  return [
    { from: 0, life: 90 * day },
    { from: changes[0]!, life: 64 * day },
    { from: changes[1]!, life: 45 * day },
    { from: changes[2]!, life: 160 * hour }
  ]
}

/** What A5 asks to survive: a week while certificates live 45 days or more, 8 hours once they live 160. */
const outagesOf = (random: Random, shortFrom: number): ReadonlyArray<Span> => {
  const outages: Array<Span> = []
  for (let at = (5 + random() * 30) * day; at < 360 * day; at += (8 + random() * 40) * day) {
    const longest = at + 7 * day < shortFrom ? 7 * day : 8 * hour
    const from = at
    at += random() * longest
    outages.push({ from, to: at })
  }
  return outages
}

export interface Span {
  readonly from: number
  readonly to: number
}

export interface AuthorityOptions {
  readonly lives?: ReadonlyArray<{ readonly from: number; readonly life: number }>
  readonly outages?: ReadonlyArray<Span>
  /** In three hours, for the account; renewals are exempt. */
  readonly newOrders?: number
}

export class SimulatedAuthority {
  readonly directory: string
  readonly #lives: ReadonlyArray<{ readonly from: number; readonly life: number }>
  readonly outages: ReadonlyArray<Span>
  readonly #limit: number
  readonly #issued: Array<SimulatedCertificate> = []
  #orders: Array<number> = []
  #count = 0
  newOrders = 0

  constructor(directory: string, random: Random, options: AuthorityOptions = {}) {
    this.directory = directory
    this.#limit = options.newOrders ?? 300
    this.#lives = options.lives ?? lifetimes(random)
    this.outages = options.outages ?? outagesOf(random, this.#lives.at(-1)!.from)
  }

  isDown(now: number): boolean {
    return this.outages.some(({ from, to }) => now >= from && now < to)
  }

  /** Was it away at any time between the two? */
  wasDown(from: number, to: number): boolean {
    return this.outages.some((outage) => outage.from < to && outage.to > from)
  }

  lifeAt(now: number): number {
    return this.#lives.findLast(({ from }) => from <= now)!.life
  }

  order(now: number, replaces: boolean): OrderAnswer {
    if (this.isDown(now)) return { kind: "unavailable" }
    if (!replaces && Number.isFinite(this.#limit)) {
      this.#orders = this.#orders.filter((at) => at > now - 3 * hour)
      if (this.#orders.length >= this.#limit) return { kind: "limited", retryAfterSeconds: (this.#orders[0]! + 3 * hour - now) / 1000 }
      this.#orders.push(now)
    }
    if (!replaces) this.newOrders++
    const life = this.lifeAt(now)
    const certificate = {
      id: `${this.directory} ${this.#count++}`,
      directory: this.directory,
      not_before: new Date(now - hour),
      not_after: new Date(now - hour + life)
    }
    this.#issued.push(certificate)
    return { kind: "issued", certificate }
  }

  /** Boulder's window: two days around two thirds of the life (a day around half of a short one); in the past once it must go. */
  window(certificate: SimulatedCertificate, now: number): { readonly start: Date; readonly end: Date } | undefined {
    if (this.isDown(now)) return undefined
    if (certificate.revocation !== undefined) return { start: new Date(now - 2 * hour), end: new Date(now - hour) }
    const [from, to] = [certificate.not_before.getTime(), certificate.not_after.getTime()]
    const short = to - from < 10 * day
    const middle = short ? (from + to) / 2 : from + ((to - from) * 2) / 3
    const half = short ? 12 * hour : day
    return { start: new Date(middle - half), end: new Date(middle + half) }
  }

  /** Announces now that everything valid will be revoked after `grace`. */
  revokeAll(now: number, grace: number): number {
    const valid = this.#issued.filter((each) => each.not_after.getTime() > now)
    for (const each of valid) each.revocation = { at: now + grace }
    return valid.length
  }
}
