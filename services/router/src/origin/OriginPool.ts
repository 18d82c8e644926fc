/**
 * Connections to origins, shared among requests of one tenant to one origin under one TLS policy, and among no others (E4, E11).
 *
 * Owns: reuse, the cap per origin, idle connections. Leaves to libs/egress through `Connect`: resolving, the address check at connect time (E10)
 * and verifying the origin's certificate. Built against: one slow tenant that takes every socket of the edge (E8).
 */
import type { Socket } from "node:net"
import type { Deadlines } from "../Deadlines.ts"
import type { ExchangeClient, Failure } from "../exchange/Exchange.ts"
import type { Origin } from "./Origin.ts"
import { type ConnectionOwner, OriginConnection, type OriginLimits } from "./OriginConnection.ts"
import { OriginInput } from "./OriginInput.ts"
import { OriginRequest, type OutgoingRequest } from "./OriginRequest.ts"

/**
 * Opens a connection whose address was checked and whose bytes go to `input`, or says why not; returns how to give up. Never calls back after that.
 */
export type Connect = (origin: Origin, input: OriginInput, done: (result: Socket | Failure) => void) => () => void

export interface PoolLimits extends OriginLimits {
  /** Connections to one origin, in use or opening. Beyond it: 503 at once. */
  readonly perOrigin: number
  readonly idlePerOrigin: number
}

/** A request that must not be repeated gets a kept connection only if it was used this recently. */
const freshMillis = 2000

interface Bucket {
  readonly idle: Array<OriginConnection>
  /** In use or opening. */
  busy: number
}

export class OriginPool implements ConnectionOwner {
  readonly deadlines: Deadlines
  readonly limits: PoolLimits
  private readonly connectTo: Connect
  private readonly buckets = new Map<string, Bucket>()
  private readonly inUse = new Set<OriginConnection>()

  constructor(options: { readonly deadlines: Deadlines; readonly limits: PoolLimits; readonly connect: Connect }) {
    this.deadlines = options.deadlines
    this.limits = options.limits
    this.connectTo = options.connect
  }

  /** Connections in use, and kept. */
  get size(): { readonly busy: number; readonly idle: number } {
    let idle = 0
    for (const bucket of this.buckets.values()) idle += bucket.idle.length
    return { busy: this.inUse.size, idle }
  }

  /** Sends a request; the answer comes to `client`, never before this returns. */
  open(origin: Origin, outgoing: OutgoingRequest, client: ExchangeClient): OriginRequest {
    return new OriginRequest(this, origin, outgoing, client)
  }

  take(origin: Origin, repeatable: boolean): OriginConnection | undefined {
    if (origin.preface !== undefined) return undefined
    const bucket = this.buckets.get(origin.poolKey)
    const connection = bucket?.idle.at(-1)
    if (bucket === undefined || connection === undefined) return undefined
    if (!repeatable && this.deadlines.now - connection.idleSince > freshMillis) return undefined
    bucket.idle.pop()
    bucket.busy++
    this.inUse.add(connection)
    return connection
  }

  connect(origin: Origin, done: (result: OriginConnection | Failure) => void): () => void {
    const bucket = this.buckets.get(origin.poolKey) ?? { idle: [], busy: 0 }
    this.buckets.set(origin.poolKey, bucket)
    if (bucket.busy >= this.limits.perOrigin) {
      const later = setImmediate(() => done({ status: 503, code: "origin-busy" }))
      return () => clearImmediate(later)
    }
    bucket.busy++
    const input = new OriginInput()
    const cancel = this.connectTo(origin, input, (result) => {
      if ("status" in result) {
        this.leave(origin.poolKey)
        return done(result)
      }
      const connection = new OriginConnection(result, input, { origin, owner: this })
      this.inUse.add(connection)
      done(connection)
    })
    return () => {
      cancel()
      this.leave(origin.poolKey)
    }
  }

  private leave(key: string): void {
    const bucket = this.buckets.get(key)
    if (bucket === undefined) return
    bucket.busy--
    if (bucket.busy === 0 && bucket.idle.length === 0) this.buckets.delete(key)
  }

  released(connection: OriginConnection, reusable: boolean): void {
    const key = connection.origin.poolKey
    const bucket = this.buckets.get(key)
    if (this.inUse.delete(connection)) {
      const shared = connection.origin.preface === undefined
      const room = shared && reusable && bucket !== undefined && bucket.idle.length < this.limits.idlePerOrigin && connection.keepMillis > 0
      if (room) bucket.idle.push(connection)
      this.leave(key)
      if (reusable && !room) connection.destroy()
      return
    }
    const at = bucket?.idle.indexOf(connection) ?? -1
    if (bucket === undefined || at < 0) return
    bucket.idle.splice(at, 1)
    if (bucket.busy === 0 && bucket.idle.length === 0) this.buckets.delete(key)
  }

  /** Ends every connection: for shutdown, after the last request. */
  close(): void {
    for (const bucket of [...this.buckets.values()]) for (const connection of [...bucket.idle]) connection.destroy()
    for (const connection of [...this.inUse]) connection.destroy()
  }
}
