/**
 * TLS-ALPN-01 on the TLS port (RFC 8737): who asks for nothing but `acme-tls/1` is a CA that validates a name, never a visitor.
 *
 * Owns: telling such a hello by its protocol list, the contexts of pending challenges. Leaves to the registry: which are pending; to
 * `tls/SecureAccept.ts`: the handshake, after which such a connection is closed. Built against: a visitor who is shown a challenge's
 * certificate (only the list decides), and handshakes in numbers that make a context each (one is kept while its challenge is pending).
 */
import { constants } from "node:crypto"
import { createSecureContext, type SecureContext } from "node:tls"
import type { ChallengeEntry } from "@connect-domain/messages/buckets.ts"
import type { Vault } from "@connect-domain/secrets/Vault.ts"
import { Result } from "effect"
import type { HostnameTable } from "../registry/HostnameTable.ts"
import { posture } from "../tls/posture.ts"

export const acmeTls = "acme-tls/1"

/** RFC 8737 §3: the list of a validating CA holds this one protocol and nothing else. In its wire form (RFC 7301 §3.1). */
export const validation = Buffer.from(`\x0a${acmeTls}`, "latin1")
export const isValidation = (protocols: Buffer): boolean => protocols.equals(validation)

/** A fatal alert `no_application_protocol` (RFC 7301 §3.2), before any version was agreed on. */
export const noApplicationProtocol = Buffer.from([21, 3, 1, 0, 2, 2, 120])

/** Challenges that are validated at the same time are far fewer. */
const maxContexts = 256

export class AlpnChallenges {
  /** Challenges whose certificate or key could not be used. */
  broken = 0
  private readonly table: HostnameTable
  private readonly vault: Vault
  /** By token. */
  private readonly contexts = new Map<string, SecureContext>()

  constructor(table: HostnameTable, vault: Vault) {
    this.table = table
    this.vault = vault
  }

  /** For a canonical name; undefined when no challenge is pending for it. A name that the registry does not know may have one. */
  context(host: string): SecureContext | undefined {
    const entry = host === "" ? undefined : this.table.alpnChallenge(host)
    if (entry === undefined) return undefined
    const known = this.contexts.get(entry.token)
    if (known !== undefined) return known
    const context = this.make(entry)
    if (context === undefined) return undefined
    if (this.contexts.size >= maxContexts) this.contexts.delete(this.contexts.keys().next().value!)
    this.contexts.set(entry.token, context)
    return context
  }

  /** The challenge is over: so is its key. */
  forget(token: string): void {
    this.contexts.delete(token)
  }

  private make({ token, hostname, certificate, sealed_key }: ChallengeEntry): SecureContext | undefined {
    const key = this.vault.openText(sealed_key ?? "", { tenant: hostname, table: "challenges", column: "key", row: token })
    try {
      if (Result.isFailure(key)) throw key.failure
      const secureOptions = posture.secureOptions | constants.SSL_OP_NO_TICKET
      return createSecureContext({ ...posture, secureOptions, cert: certificate, key: key.success })
    } catch {
      this.broken++
      return undefined
    }
  }
}
