/**
 * The secure contexts of hot certificates.
 *
 * Owns: making a context from a sealed certificate when it is first wanted, and letting the coldest go by a byte budget. Leaves to the registry:
 * which certificate a name has. Built against: a restart with 100,000 names (E15): nothing is made before a handshake asks, a context costs about
 * a millisecond and 46 KiB, and the private key is open only while it is made.
 */
import { createHash, randomBytes } from "node:crypto"
import { createSecureContext, type SecureContext } from "node:tls"
import type { CertificateEntry } from "@connect-domain/messages/buckets.ts"
import type { Vault } from "@connect-domain/secrets/Vault.ts"
import { Result } from "effect"
import { posture } from "./posture.ts"

/** Measured on Node 24: 29 to 46 KiB for each context. */
export const contextBytes = 46 * 1024

export class Contexts {
  made = 0
  failed = 0
  private readonly vault: Vault
  private readonly max: number
  private ticketKeys: Buffer = randomBytes(48)
  /** In order of use: the first is the coldest. */
  private readonly contexts = new Map<string, SecureContext>()

  constructor(vault: Vault, budgetBytes: number) {
    this.vault = vault
    this.max = Math.max(1, Math.floor(budgetBytes / contextBytes))
  }

  /**
   * From now on sessions are sealed under these 48 bytes (E13). Contexts are made anew when they are next wanted: what was sealed under the old
   * keys is answered with a full handshake.
   */
  rotate(ticketKeys: Buffer): void {
    this.ticketKeys = ticketKeys
    this.contexts.clear()
  }

  get size(): number {
    return this.contexts.size
  }

  /** The context of a certificate; undefined when its key does not open or the certificate is broken. */
  get(certificate: CertificateEntry): SecureContext | undefined {
    const id = certificate.certificate_id
    const known = this.contexts.get(id)
    if (known !== undefined) {
      this.contexts.delete(id)
      this.contexts.set(id, known)
      return known
    }
    const context = this.make(certificate)
    if (context === undefined) return undefined
    if (this.contexts.size >= this.max) this.contexts.delete(this.contexts.keys().next().value!)
    this.contexts.set(id, context)
    return context
  }

  private make(certificate: CertificateEntry): SecureContext | undefined {
    const place = { tenant: certificate.claim_id, table: "certificates", column: "key", row: certificate.certificate_id }
    const key = this.vault.openText(certificate.sealed_key, place)
    try {
      if (Result.isFailure(key)) throw key.failure
      this.made++
      const sessionIdContext = createHash("sha256").update(certificate.claim_id).digest("hex").slice(0, 32)
      return createSecureContext({ ...posture, ticketKeys: this.ticketKeys, sessionIdContext, cert: certificate.chain, key: key.success })
    } catch {
      this.failed++
      return undefined
    }
  }
}
