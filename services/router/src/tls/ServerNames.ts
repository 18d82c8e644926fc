/**
 * From a handshake's SNI to a context.
 *
 * Owns: the answer to every server name, the bounded wait for a first certificate (A12). Leaves to `Contexts.ts`: contexts; to `ensure`: asking the
 * certifier. Built against: a handshake that waits for a CA, an order per handshake of a name that can't get one, and unknown names that cost
 * more than a look into a map.
 */
import type { SecureContext } from "node:tls"
import type { CertificateEntry, HostnameEntry } from "@connect-domain/messages/buckets.ts"
import type { HostnameTable } from "../registry/HostnameTable.ts"
import { always, type Contexts } from "./Contexts.ts"

/** A handshake waits this long for a certificate that is being issued. */
const waitMillis = 3000
/** After a wait in vain, handshakes of the claim fail at once for this long. */
const refuseMillis = 10_000
/** Handshakes of one claim that may wait together, and claims that may be waited for. */
const maxWaitersPerClaim = 256
const maxClaims = 10_000

type Done = (context: SecureContext | undefined) => void

/** Of a client: the name of the keys that its session ticket is sealed under, and whether it is still there. */
export interface Asked {
  readonly ticket?: string
  readonly still?: () => boolean
}

interface Wait {
  readonly hostname: string
  readonly waiters: Array<{ readonly asked: Asked; readonly done: Done }>
  readonly timer: NodeJS.Timeout
}

export interface ServerNamesOptions {
  readonly table: HostnameTable
  readonly contexts: Contexts
  /** Sends the certifier's `ensure`; may be lost. */
  readonly ensure: (entry: HostnameEntry) => void
}

export class ServerNames {
  /** Handshakes by outcome, for the metrics. */
  readonly counts = { served: 0, unknown: 0, without: 0, broken: 0 }
  private readonly options: ServerNamesOptions
  private readonly waits = new Map<string, Wait>()
  private readonly refusedUntil = new Map<string, number>()

  constructor(options: ServerNamesOptions) {
    this.options = options
  }

  /**
   * The context for a canonical name ("": none was sent); `done` gets undefined when the handshake must fail, perhaps seconds later, or is not called
   * when the client has gone.
   */
  find(host: string, done: Done, asked: Asked = {}): void {
    const { table } = this.options
    const entry = host === "" ? undefined : table.find(host)
    if (entry === undefined) {
      this.counts.unknown++
      done(undefined)
      return
    }
    const certificate = table.certificateOf(entry)
    if (certificate === undefined) {
      this.wait(entry, host, { asked, done })
      return
    }
    const { ticket = "", still = always } = asked
    this.options.contexts.find({ certificate, tenant: entry.tenant_id, ticket, still }, (context) => {
      if (context === undefined && this.moved(host, certificate)) {
        this.find(host, done, asked)
        return
      }
      this.counts[context === undefined ? "broken" : "served"]++
      done(context)
    })
  }

  /** The name has another certificate than the one that was waited for, or is gone. */
  private moved(host: string, { certificate_id }: CertificateEntry): boolean {
    return this.options.table.find(host)?.certificate_id !== certificate_id
  }

  private wait(entry: HostnameEntry, host: string, waiter: Wait["waiters"][number]): void {
    const claim = entry.claim_id
    const now = performance.now()
    const wait = this.waits.get(claim)
    const refused = (this.refusedUntil.get(claim) ?? 0) > now
    if (refused || this.waits.size >= maxClaims || (wait !== undefined && wait.waiters.length >= maxWaitersPerClaim)) {
      this.counts.without++
      waiter.done(undefined)
      return
    }
    if (wait !== undefined) {
      wait.waiters.push(waiter)
      return
    }
    const timer = setTimeout(() => this.giveUp(claim), waitMillis)
    this.waits.set(claim, { hostname: host, waiters: [waiter], timer })
    this.options.ensure(entry)
  }

  private giveUp(claim: string): void {
    const wait = this.waits.get(claim)
    if (wait === undefined) return
    this.waits.delete(claim)
    if (this.refusedUntil.size >= maxClaims) this.refusedUntil.clear()
    this.refusedUntil.set(claim, performance.now() + refuseMillis)
    this.counts.without += wait.waiters.length
    for (const { done } of wait.waiters) done(undefined)
  }

  /** The name's entry or certificate changed: those who wait for it may go on. */
  changed(hostname: string): void {
    if (this.waits.size === 0 && this.refusedUntil.size === 0) return
    const entry = this.options.table.find(hostname)
    if (entry === undefined) return
    const certificate = this.options.table.certificateOf(entry)
    if (certificate === undefined) return
    this.refusedUntil.delete(entry.claim_id)
    const wait = this.waits.get(entry.claim_id)
    if (wait === undefined) return
    clearTimeout(wait.timer)
    this.waits.delete(entry.claim_id)
    for (const { asked, done } of wait.waiters) this.find(wait.hostname, done, asked)
  }

  /** Lets everybody go who waits. */
  close(): void {
    for (const claim of [...this.waits.keys()]) {
      clearTimeout(this.waits.get(claim)!.timer)
      this.giveUp(claim)
    }
  }
}
