/**
 * Pending ACME challenges.
 *
 * Owns: look-ups by token (HTTP-01) and by hostname (TLS-ALPN-01), and how long one is answered at most. Leaves to `Registry.ts`: when a bucket was
 * read whole. Built against: a search through every pending challenge for each ClientHello that says `acme-tls/1`, and one that ended while this edge
 * was away for longer than the bucket keeps the mark of it.
 */
import type { ChallengeEntry } from "@connect-domain/messages/buckets.ts"

/** Twice as long as the certifier lets one stand. */
const maxAgeMillis = 3_600_000

interface Pending {
  readonly entry: ChallengeEntry
  readonly until: number
}

export class Challenges {
  /** A challenge ended, or another one took its token. */
  onGone: (token: string) => void = () => {}
  /** The oldest first. */
  private readonly byToken = new Map<string, Pending>()
  /** The latest of each hostname. */
  private readonly alpn = new Map<string, ChallengeEntry>()
  /** Tokens seen since the last look at the bucket began. */
  private readonly present = new Set<string>()

  find(token: string, host: string): string | undefined {
    const entry = this.pending(token)
    return entry !== undefined && entry.hostname === host && entry.type !== "tls-alpn-01" ? entry.key_authorization : undefined
  }

  findAlpn(host: string): ChallengeEntry | undefined {
    let entry = this.alpn.get(host)
    while (entry !== undefined && this.pending(entry.token) === undefined) entry = this.alpn.get(host)
    return entry
  }

  /** One that is too old goes. */
  private pending(token: string): ChallengeEntry | undefined {
    const pending = this.byToken.get(token)
    if (pending === undefined || performance.now() < pending.until) return pending?.entry
    this.delete(token)
    return undefined
  }

  put(entry: ChallengeEntry): void {
    this.delete(entry.token)
    for (const token of this.byToken.keys()) if (this.pending(token) !== undefined) break
    this.byToken.set(entry.token, { entry, until: performance.now() + maxAgeMillis })
    this.present.add(entry.token)
    if (entry.type === "tls-alpn-01") this.alpn.set(entry.hostname, entry)
  }

  delete(token: string): void {
    const entry = this.byToken.get(token)?.entry
    if (entry === undefined) return
    this.byToken.delete(token)
    this.onGone(token)
    if (this.alpn.get(entry.hostname) !== entry) return
    this.alpn.delete(entry.hostname)
    for (const { entry: other } of this.byToken.values())
      if (other.type === "tls-alpn-01" && other.hostname === entry.hostname) this.alpn.set(other.hostname, other)
  }

  /** Tokens are answered from the old bucket until the new one was read: an authorisation may be under way. */
  begin(): void {
    this.present.clear()
  }

  end(): void {
    for (const token of [...this.byToken.keys()]) if (!this.present.has(token)) this.delete(token)
    this.present.clear()
  }
}
