/**
 * The applications that this edge knows, and what they mean for their hostnames.
 *
 * Owns: the entries, and each hostname's policy and origin, made once and found by two look-ups. Leaves to `followApplications.ts`: NATS; to
 * `ApplicationsFile.ts`: the disk. An application that was never read sets nothing, and its hostnames go to the origin in their own entries.
 * Built against: a change that holds for ten thousand hostnames and must not touch ten thousand entries, here or on the way here.
 */
import type { ApplicationEntry, HostnameEntry } from "@connect-domain/messages/buckets.ts"
import { makePolicy, noPolicy, type Policy, readFlags } from "./Policy.ts"

type Flags = HostnameEntry["flags"]

interface Known {
  readonly entry: ApplicationEntry
  /** Of hostnames without settings of their own. */
  readonly policy: Policy
  /** Of hostnames with some. Ends with this version of the application. */
  readonly policies: WeakMap<Flags, Policy>
}

/** `origin` only says where the origin comes from. */
const hasSettings = (flags: Flags): boolean => {
  for (const name in flags) if (name !== "origin") return true
  return false
}

const setsNothing = ({ flags, error_page }: ApplicationEntry): boolean => error_page === null && !hasSettings(flags as Flags)

export class Applications {
  /** Something was learned that a restart should know. */
  onChange: () => void = () => {}
  /** The bucket was read once. */
  current = false
  /** Another one after each change of an application. */
  version = 0
  private readonly known = new Map<string, Known>()
  private readonly strangers = new WeakMap<Flags, Policy>()

  get size(): number {
    return this.known.size
  }

  *entries(): Generator<ApplicationEntry> {
    for (const { entry } of this.known.values()) yield entry
  }

  put(entry: ApplicationEntry): void {
    const policy = setsNothing(entry) ? noPolicy : makePolicy({}, readFlags(entry.flags), entry.error_page)
    this.known.set(entry.application_id, { entry, policy, policies: new WeakMap() })
    this.changed()
  }

  delete(id: string): void {
    if (this.known.delete(id)) this.changed()
  }

  private changed(): void {
    this.version++
    this.onChange()
  }

  policyOf(hostname: HostnameEntry): Policy {
    const known = this.known.get(hostname.application_id)
    const { flags } = hostname
    if (!hasSettings(flags)) return known === undefined ? noPolicy : known.policy
    const policies = known === undefined ? this.strangers : known.policies
    const made = policies.get(flags)
    if (made !== undefined) return made
    const application = known === undefined ? {} : readFlags(known.entry.flags)
    const policy = makePolicy(readFlags(flags), application, known === undefined ? null : known.entry.error_page)
    policies.set(flags, policy)
    return policy
  }

  originOf(hostname: HostnameEntry): string | null {
    if (hostname.flags.origin !== "application") return hostname.origin
    const known = this.known.get(hostname.application_id)
    return known === undefined ? hostname.origin : known.entry.origin
  }
}
