/**
 * The secure contexts of hot certificates.
 *
 * Owns: making a context from a sealed certificate when it is first wanted, once however many want it, and letting the coldest go by a byte budget;
 * which ticket keys a handshake needs. Leaves to the registry: which certificate a name has; to `FairTurns.ts`: whose context is made next. Built
 * against: a restart with 100,000 names (E15): nothing is made before a handshake asks, a context costs about a millisecond and 46 KiB, and the
 * private key is open only while it is made; and against a rotation of the ticket keys that makes every context anew at once (E13): until the new
 * one is there, the old one serves, whose tickets stay good for another period.
 */
import { createHash, randomBytes } from "node:crypto"
import { createSecureContext, type SecureContext } from "node:tls"
import type { CertificateEntry } from "@connect-domain/messages/buckets.ts"
import type { Vault } from "@connect-domain/secrets/Vault.ts"
import { Result } from "effect"
import { FairTurns } from "./FairTurns.ts"
import { posture } from "./posture.ts"
import { type TicketKeys, ticketName } from "./ticketKeys.ts"

/** Measured on Node 24: 29 to 46 KiB for each context. */
export const contextBytes = 46 * 1024

type Done = (context: SecureContext | undefined) => void

interface Waiter {
  readonly done: Done
  /** Whether the client is still there. */
  readonly still: () => boolean
}

/** A context that is wanted and not made yet, and for whom. */
interface Flight {
  readonly certificate: CertificateEntry
  readonly tenant: string
  readonly waiters: Array<Waiter>
}

/** Nobody can tell whether the client has gone. */
export const always = (): boolean => true

export interface Wanted {
  readonly certificate: CertificateEntry
  /** Whose turn it is to have a context made. */
  readonly tenant: string
  /** The name of the keys that the client's ticket is sealed under; "" when it has none. */
  readonly ticket: string
  /** Default: it stays wanted. What nobody wants any more when its turn comes is not made. */
  readonly still?: () => boolean
}

export class Contexts {
  made = 0
  failed = 0
  readonly turns = new FairTurns()
  private readonly vault: Vault
  private readonly max: number
  /** Ticket keys by name: those that tickets are sealed under now, and those that are accepted. */
  private keys = new Map<string, Buffer>()
  private current = ""
  /** By name of ticket keys and certificate id, in order of use: the first is the coldest. */
  private readonly contexts = new Map<string, SecureContext>()
  /** The last of them: most handshakes of a busy moment are for one name. */
  private newest: { readonly name: string; readonly id: string; readonly context: SecureContext } | undefined
  /** By the same keys. What is not here any more is not made when its turn comes. */
  private readonly flights = new Map<string, Flight>()

  constructor(vault: Vault, budgetBytes: number) {
    this.vault = vault
    this.max = Math.max(1, Math.floor(budgetBytes / contextBytes))
    this.rotate({ current: randomBytes(48), accepted: [] })
  }

  /** From now on sessions are sealed under other keys (E13). What was sealed under accepted ones still resumes. */
  rotate({ current, accepted }: TicketKeys): void {
    this.current = ticketName(current)
    this.keys = new Map([current, ...accepted].map((keys) => [ticketName(keys), keys]))
    for (const key of this.contexts.keys()) if (this.ended(key)) this.drop(key)
    for (const [key, { certificate, tenant, waiters }] of this.flights) {
      if (!this.ended(key)) continue
      this.flights.delete(key)
      for (const waiter of waiters) this.join(this.current, certificate, tenant, waiter)
    }
  }

  private ended(key: string): boolean {
    return !this.keys.has(key.slice(0, this.current.length))
  }

  get size(): number {
    return this.contexts.size
  }

  /** `done` gets undefined when the key does not open, the certificate is broken, or too many wait, or it is gone; perhaps turns of the loop later. */
  find({ certificate, tenant, ticket, still = always }: Wanted, done: Done): void {
    const { current } = this
    const name = ticket !== "" && this.keys.has(ticket) ? ticket : current
    const known = this.touch(name, certificate.certificate_id)
    if (known !== undefined) {
      done(known)
      return
    }
    const former = name === current ? this.former(certificate.certificate_id) : undefined
    if (former === undefined) this.join(name, certificate, tenant, { done, still })
    else {
      done(former)
      this.join(name, certificate, tenant, { done: () => {}, still: always })
    }
  }

  private touch(name: string, id: string): SecureContext | undefined {
    const { newest } = this
    if (newest?.id === id && newest.name === name) return newest.context
    const key = name + id
    const context = this.contexts.get(key)
    if (context === undefined) return undefined
    this.contexts.delete(key)
    this.contexts.set(key, context)
    this.newest = { name, id, context }
    return context
  }

  private drop(key: string): void {
    this.contexts.delete(key)
    this.newest = undefined
  }

  /** One with ticket keys that are accepted everywhere still. */
  private former(id: string): SecureContext | undefined {
    for (const name of this.keys.keys()) {
      const known = this.contexts.get(name + id)
      if (known !== undefined) return known
    }
    return undefined
  }

  private join(name: string, certificate: CertificateEntry, tenant: string, waiter: Waiter): void {
    const key = name + certificate.certificate_id
    const known = this.flights.get(key)
    if (known !== undefined) {
      known.waiters.push(waiter)
      return
    }
    const flight: Flight = { certificate, tenant, waiters: [waiter] }
    this.flights.set(key, flight)
    this.turns.run(tenant, {
      go: () => {
        if (this.flights.get(key) !== flight) return
        if (flight.waiters.some(({ still }) => still())) this.land(key, this.make(certificate, name))
        else this.flights.delete(key)
      },
      drop: () => {
        if (this.flights.get(key) === flight) this.land(key, undefined)
      }
    })
  }

  private land(key: string, context: SecureContext | undefined): void {
    const flight = this.flights.get(key)
    this.flights.delete(key)
    if (context !== undefined) {
      if (this.contexts.size >= this.max) this.drop(this.contexts.keys().next().value!)
      this.contexts.set(key, context)
      this.newest = undefined
    }
    for (const { done } of flight?.waiters ?? []) done(context)
  }

  private make(certificate: CertificateEntry, name: string): SecureContext | undefined {
    const place = { tenant: certificate.claim_id, table: "certificates", column: "key", row: certificate.certificate_id }
    const key = this.vault.openText(certificate.sealed_key, place)
    try {
      if (Result.isFailure(key)) throw key.failure
      this.made++
      const sessionIdContext = createHash("sha256").update(certificate.claim_id).digest("hex").slice(0, 32)
      const ticketKeys = this.keys.get(name)!
      return createSecureContext({ ...posture, ticketKeys, sessionIdContext, cert: certificate.chain, key: key.success })
    } catch {
      this.failed++
      return undefined
    }
  }

  /** The certificate is gone: so is its key, and no handshake that waits for it gets one (A13). */
  forget(id: string): void {
    for (const name of this.keys.keys()) {
      this.drop(name + id)
      this.land(name + id, undefined)
    }
  }

  close(): void {
    this.turns.close()
    for (const key of [...this.flights.keys()]) this.land(key, undefined)
  }
}
