/**
 * Nonces not yet used (RFC 8555 §6.5). Every answer of the CA brings one, so in steady state no request is spent on getting them.
 *
 * Owns: the spare nonces of one CA. Leaves to `AcmeSession`: fetching one when the pool is empty.
 * Built against: a round trip per request for a nonce (half of all requests in clients without a pool), and nonces that a CA has
 * long forgotten: the newest is used first, old ones are dropped.
 */

/** Boulder keeps its nonces for minutes to hours; older than this we'd rather fetch a fresh one than be refused. */
const maxAgeMillis = 120_000
const maxSize = 256

export class NoncePool {
  readonly #spare: Array<{ readonly nonce: string; readonly at: number }> = []

  put(nonce: string | undefined, nowMillis: number): void {
    if (nonce === undefined || !/^[A-Za-z0-9_-]+$/.test(nonce)) return
    this.#spare.push({ nonce, at: nowMillis })
    if (this.#spare.length > maxSize) this.#spare.shift()
  }

  /** The newest nonce, or undefined when there is none worth trying. */
  take(nowMillis: number): string | undefined {
    const newest = this.#spare.pop()
    if (newest === undefined) return undefined
    if (nowMillis - newest.at <= maxAgeMillis) return newest.nonce
    this.#spare.length = 0
    return undefined
  }

  get size(): number {
    return this.#spare.length
  }
}
