/**
 * Pending ACME challenges.
 *
 * Owns: look-ups by token (HTTP-01) and by hostname (TLS-ALPN-01). Leaves to `Registry.ts`: when a bucket was read whole. Built against: a search
 * through every pending challenge for each ClientHello that says `acme-tls/1`.
 */
import type { ChallengeEntry } from "@connect-domain/messages/buckets.ts"

export class Challenges {
  /** A challenge ended, or another one took its token. */
  onGone: (token: string) => void = () => {}
  private readonly byToken = new Map<string, ChallengeEntry>()
  /** The latest of each hostname. */
  private readonly alpn = new Map<string, ChallengeEntry>()
  /** Tokens seen since the last look at the bucket began. */
  private readonly present = new Set<string>()

  find(token: string, host: string): string | undefined {
    const entry = this.byToken.get(token)
    return entry !== undefined && entry.hostname === host && entry.type !== "tls-alpn-01" ? entry.key_authorization : undefined
  }

  findAlpn(host: string): ChallengeEntry | undefined {
    return this.alpn.get(host)
  }

  put(entry: ChallengeEntry): void {
    this.delete(entry.token)
    this.byToken.set(entry.token, entry)
    this.present.add(entry.token)
    if (entry.type === "tls-alpn-01") this.alpn.set(entry.hostname, entry)
  }

  delete(token: string): void {
    const entry = this.byToken.get(token)
    if (entry === undefined) return
    this.byToken.delete(token)
    this.onGone(token)
    if (this.alpn.get(entry.hostname) !== entry) return
    this.alpn.delete(entry.hostname)
    for (const other of this.byToken.values())
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
