/**
 * How long first certificates for many names take within the limits of the CAs: the budgets of `Budgets.ts` run ahead of time, pure.
 *
 * Owns: the same counting (twelve slots to a window, so that the answer is what this certifier will do, not what a CA would just allow).
 * Leaves out what has no limit: renewals that name what they replace, and the seconds that an order itself takes.
 */
import { keyFor, type Limit } from "./caLimits.ts"

export interface PlannedAuthority {
  readonly name: string
  readonly limits: ReadonlyArray<Limit>
}

/** The CAs that may issue for a name, by name; undefined: all of them. */
export type Permission = (hostname: string) => ReadonlySet<string> | undefined

export interface AuthorityPlan {
  readonly name: string
  readonly names: number
  /** Names that CAA keeps from it. */
  readonly forbidden: number
  /** Seconds from the beginning; undefined when it issues nothing. */
  readonly lastAt: number | undefined
  /** The limits that held it back, the one that did so most often first. */
  readonly heldBackBy: ReadonlyArray<Limit>
}

export interface IssuancePlan {
  readonly names: number
  readonly domains: number
  /** Names that no CA may issue for. */
  readonly forbidden: ReadonlyArray<string>
  /** Seconds until the last name has its certificate. */
  readonly seconds: number
  readonly authorities: ReadonlyArray<AuthorityPlan>
  /** The registrable domain that is done last. */
  readonly lastDomain: { readonly domain: string; readonly names: number; readonly at: number } | undefined
}

const slotsPerWindow = 12
const perDomain: Limit = { name: "", per: "registered-domain", counts: "orders", max: 1, window_seconds: 1 }
const domainOf = (name: string): string => keyFor(perDomain, [name])

/** What one key of a limit has used, in slots that stop counting at `until`. */
class Usage {
  #slots: Array<{ until: number; used: number }> = []
  /** Undefined: there is room. Else when there will be. */
  fullUntil(limit: Limit, now: number): number | undefined {
    if (this.#slots.length > 0 && this.#slots[0]!.until <= now) this.#slots = this.#slots.filter(({ until }) => until > now)
    const used = this.#slots.reduce((sum, slot) => sum + slot.used, 0)
    return used < limit.max ? undefined : this.#slots[0]!.until
  }
  take(limit: Limit, now: number): void {
    const slot = Math.ceil(limit.window_seconds / slotsPerWindow)
    const until = Math.floor(now / slot) * slot + slot + limit.window_seconds
    const last = this.#slots.at(-1)
    if (last?.until === until) last.used++
    else this.#slots.push({ until, used: 1 })
  }
}

/** The names of one registrable domain for which the same CAs may issue. */
interface Domain {
  readonly domain: string
  readonly total: number
  readonly waiting: Array<string>
  readonly permitted: ReadonlySet<string> | undefined
}

class Authority {
  readonly limits: ReadonlyArray<Limit>
  readonly refusals = new Map<Limit, number>()
  readonly #usage = new Map<string, Usage>()
  /** Domains that may be asked for now, and those whose limit is used up, by when there is room. */
  ready: Array<Domain>
  #blocked: Array<{ readonly at: number; readonly domain: Domain }> = []
  closedUntil = 0
  issued = 0
  lastAt: number | undefined
  readonly name: string

  constructor({ name, limits }: PlannedAuthority, domains: ReadonlyArray<Domain>) {
    this.name = name
    this.limits = limits.filter(({ counts }) => counts === "orders")
    this.ready = domains.filter(({ permitted }) => permitted === undefined || permitted.has(name))
  }

  #usageOf(limit: Limit, name: string): Usage {
    const key = `${limit.name} ${keyFor(limit, [name])}`
    let usage = this.#usage.get(key)
    if (usage === undefined) {
      usage = new Usage()
      this.#usage.set(key, usage)
    }
    return usage
  }

  /** Issues what it may now. Domains take turns, so that a large one does not hold up the small ones. */
  work(now: number): void {
    this.ready.push(...this.#blocked.filter(({ at }) => at <= now).map(({ domain }) => domain))
    this.#blocked = this.#blocked.filter(({ at }) => at > now)
    while (this.closedUntil <= now && this.ready.length > 0) {
      const turn = this.ready
      this.ready = []
      for (const [index, domain] of turn.entries()) {
        if (this.closedUntil > now) {
          this.ready.push(...turn.slice(index))
          break
        }
        this.#issueOne(domain, now)
      }
    }
  }

  #issueOne(domain: Domain, now: number): void {
    const name = domain.waiting.at(-1)
    if (name === undefined) return
    const full = this.limits.flatMap((limit) => {
      const until = this.#usageOf(limit, name).fullUntil(limit, now)
      return until === undefined ? [] : [{ limit, until }]
    })
    for (const { limit } of full) this.refusals.set(limit, (this.refusals.get(limit) ?? 0) + 1)
    const account = full.find(({ limit }) => limit.per === "account")
    if (account !== undefined) {
      this.closedUntil = account.until
      this.ready.push(domain)
    } else if (full.length > 0) this.#blocked.push({ at: Math.max(...full.map(({ until }) => until)), domain })
    else {
      for (const limit of this.limits) this.#usageOf(limit, name).take(limit, now)
      domain.waiting.pop()
      this.issued++
      this.lastAt = now
      if (domain.waiting.length > 0) this.ready.push(domain)
    }
  }

  /** When there is something to do again. */
  nextAt(now: number): number {
    const blocked = Math.min(...this.#blocked.filter(({ domain }) => domain.waiting.length > 0).map(({ at }) => at))
    const open = this.ready.some(({ waiting }) => waiting.length > 0) ? Math.max(this.closedUntil, now + 1) : Number.POSITIVE_INFINITY
    return Math.min(Math.max(blocked, this.closedUntil), open)
  }
}

const groupsOf = (hostnames: ReadonlyArray<string>, permission: Permission): ReadonlyArray<Domain> => {
  const keyed = Map.groupBy(hostnames, (name) => [domainOf(name), ...(permission(name) ?? ["*"])].join(" "))
  return [...keyed.values()].map((names) => ({
    domain: domainOf(names[0]!),
    total: names.length,
    waiting: names.toReversed(),
    permitted: permission(names[0]!)
  }))
}

/** `authorities` in order of preference, as in CD_ACME_DIRECTORY; `hostnames` without duplicates. */
export const planIssuance = (
  hostnames: ReadonlyArray<string>,
  authorities: ReadonlyArray<PlannedAuthority>,
  permission: Permission = () => undefined
): IssuancePlan => {
  const mayNobody = (name: string) => authorities.every((each) => permission(name)?.has(each.name) === false)
  const forbidden = hostnames.filter(mayNobody)
  const nobody = new Set(forbidden)
  const domains = groupsOf(
    hostnames.filter((name) => !nobody.has(name)),
    permission
  )
  const working = authorities.map((authority) => new Authority(authority, domains))
  let lastDomain: IssuancePlan["lastDomain"]
  for (let now = 0; Number.isFinite(now); now = Math.min(...working.map((each) => each.nextAt(now)))) {
    const open = new Set(domains.filter(({ waiting }) => waiting.length > 0))
    if (open.size === 0) break
    for (const each of working) each.work(now)
    for (const each of open) if (each.waiting.length === 0) lastDomain = { domain: each.domain, names: each.total, at: now }
  }
  return {
    names: hostnames.length,
    domains: new Set(hostnames.map(domainOf)).size,
    forbidden,
    seconds: Math.max(0, ...working.map(({ lastAt }) => lastAt ?? 0)),
    authorities: working.map(({ name, issued, lastAt, refusals }) => ({
      name,
      names: issued,
      forbidden: hostnames.filter((hostname) => permission(hostname)?.has(name) === false).length,
      lastAt,
      heldBackBy: [...refusals].sort((a, b) => b[1] - a[1]).map(([limit]) => limit)
    })),
    lastDomain
  }
}
