/**
 * Connections to origins, shared among requests of one tenant to one origin under one TLS policy, and among no others (E4, E11).
 *
 * Owns: reuse, the cap per origin, idle connections, how long a request waits at the cap. Leaves to `OriginQueue.ts`: who is next; to libs/egress
 * through `Connect`: resolving, the address check at connect time (E10) and verifying the origin's certificate. Built against: one slow tenant
 * that takes every socket of the edge (E8).
 */
import type { Socket } from "node:net"
import type { Deadlines } from "../Deadlines.ts"
import type { ExchangeClient, Failure } from "../exchange/Exchange.ts"
import { clientName } from "../limits/clientKey.ts"
import { Roster } from "../Roster.ts"
import type { Origin } from "./Origin.ts"
import { type ConnectionOwner, OriginConnection, type OriginLimits } from "./OriginConnection.ts"
import { OriginInput } from "./OriginInput.ts"
import { OriginQueue, type Waiter } from "./OriginQueue.ts"
import { OriginRequest, type OutgoingRequest } from "./OriginRequest.ts"

/**
 * Opens a connection whose address was checked and whose bytes go to `input`, or says why not; returns how to give up. Never calls back after that.
 */
export type Connect = (origin: Origin, input: OriginInput, done: (result: Socket | Failure) => void) => () => void

export interface PoolLimits extends OriginLimits {
  /** Connections to one origin. Beyond it requests wait. A tunnel (WebSocket) counts until it is agreed on. */
  readonly perOrigin: number
  readonly idlePerOrigin: number
  /** Requests that may wait for one origin; more get 503 at once. */
  readonly queue: number
  /** How long each of them waits, milliseconds; then 503. */
  readonly queueMillis: number
}

/** A request that must not be repeated gets a kept connection only if it was used this recently. */
const freshMillis = 2000

interface Bucket {
  readonly idle: Array<OriginConnection>
  /** In use or opening. */
  busy: number
  /** Not empty only while `busy` is at the cap, or until the end of the turn in which it ceased to be. */
  readonly queue: OriginQueue
}

/** Who wants a connection, and which one will do. */
export interface Wanted {
  /** The client's. */
  readonly address: string
  /** It may be repeated, so a kept connection will do however long it was kept. */
  readonly repeatable: boolean
  /** Only a new connection. */
  readonly fresh: boolean
}

/** A connection that is not there yet. */
export interface Pending {
  /** For its turn, at the origin's cap. */
  readonly waiting: boolean
  /** Gives up: nobody is called back any more. */
  readonly cancel: () => void
}

type Done = (result: OriginConnection | Failure) => void

export class OriginPool implements ConnectionOwner {
  readonly deadlines: Deadlines
  readonly limits: PoolLimits
  private readonly connectTo: Connect
  private readonly buckets = new Map<string, Bucket>()
  private readonly inUse = new Roster<OriginConnection["seat"]>()
  unconfirmedEnds = 0
  /** How waiting at the cap ended. */
  readonly waits = { served: 0, full: 0, timeout: 0, gone: 0 }

  constructor(options: { readonly deadlines: Deadlines; readonly limits: PoolLimits; readonly connect: Connect }) {
    this.deadlines = options.deadlines
    this.limits = options.limits
    this.connectTo = options.connect
  }

  /** Connections in use, and kept; requests that wait for one. */
  get size(): { readonly busy: number; readonly idle: number; readonly waiting: number } {
    let [idle, waiting] = [0, 0]
    for (const bucket of this.buckets.values()) {
      idle += bucket.idle.length
      waiting += bucket.queue.size
    }
    return { busy: this.inUse.size, idle, waiting }
  }

  /** Sends a request; the answer comes to `client`, never before this returns. */
  open(origin: Origin, outgoing: OutgoingRequest, client: ExchangeClient): OriginRequest {
    return new OriginRequest(this, origin, outgoing, client)
  }

  /** A kept connection; undefined when there is none that will do, or nobody may have one now. */
  take(origin: Origin, repeatable: boolean): OriginConnection | undefined {
    if (origin.preface !== undefined) return undefined
    const bucket = this.buckets.get(origin.poolKey)
    if (bucket === undefined || this.full(bucket) || bucket.queue.size > 0) return undefined
    return this.takeIdle(bucket, repeatable)
  }

  private takeIdle(bucket: Bucket, repeatable: boolean): OriginConnection | undefined {
    const connection = bucket.idle.at(-1)
    if (connection === undefined) return undefined
    if (!repeatable && this.deadlines.now - connection.idleSince > freshMillis) return undefined
    bucket.idle.pop()
    bucket.busy++
    this.inUse.add(connection.seat)
    return connection
  }

  private full(bucket: Bucket): boolean {
    return bucket.busy >= this.limits.perOrigin
  }

  /** Opens a connection, or waits for one first, which may be a kept one then. Never calls back before it returns. */
  connect(origin: Origin, wanted: Wanted, done: Done): Pending {
    const { limits } = this
    const bucket = this.buckets.get(origin.poolKey) ?? { idle: [], busy: 0, queue: new OriginQueue(limits.queue) }
    this.buckets.set(origin.poolKey, bucket)
    if (this.full(bucket) || bucket.queue.size > 0) return this.wait(bucket, origin, wanted, done)
    return { waiting: false, cancel: this.openNew(bucket, origin, done) }
  }

  private wait(bucket: Bucket, origin: Origin, wanted: Wanted, done: Done): Pending {
    const { deadlines, limits, waits } = this
    const over = (how: keyof typeof waits) => {
      waits[how]++
      pending.waiting = false
      bucket.queue.remove(waiter)
      deadlines.forget(waiter)
    }
    const pending = { waiting: true, cancel: () => over("gone") }
    const refuse = (why: "full" | "timeout") => {
      over(why)
      const later = setImmediate(() => done({ status: 503, code: why === "full" ? "origin-queue-full" : "origin-queue-timeout" }))
      pending.cancel = () => clearImmediate(later)
    }
    const waiter: Waiter = {
      client: clientName(wanted.address),
      place: 0,
      deadline: deadlines.now + limits.queueMillis,
      go: () => {
        over("served")
        const kept = wanted.fresh || origin.preface !== undefined ? undefined : this.takeIdle(bucket, wanted.repeatable)
        if (kept === undefined) pending.cancel = this.openNew(bucket, origin, done)
        else done(kept)
      },
      drop: () => refuse("full"),
      onDeadline: () => refuse("timeout")
    }
    deadlines.watch(waiter)
    bucket.queue.add(waiter)?.drop()
    return pending
  }

  private openNew(bucket: Bucket, origin: Origin, done: Done): () => void {
    bucket.busy++
    // The cap is on all of them: one that was kept makes room.
    if (bucket.busy + bucket.idle.length > this.limits.perOrigin) bucket.idle[0]?.destroy()
    const input = new OriginInput()
    const cancel = this.connectTo(origin, input, (result) => {
      if ("status" in result) {
        this.leave(origin.poolKey)
        return done(result)
      }
      const connection = new OriginConnection(result, input, { origin, owner: this })
      this.inUse.add(connection.seat)
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
    if (bucket.queue.size > 0)
      process.nextTick(() => this.handOn(key, bucket)) // not in the midst of what freed the place
    else this.forgetEmpty(key)
  }

  private handOn(key: string, bucket: Bucket): void {
    while (!this.full(bucket)) {
      const next = bucket.queue.next()
      if (next === undefined) break
      next.go()
    }
    this.forgetEmpty(key)
  }

  private forgetEmpty(key: string): void {
    const bucket = this.buckets.get(key)
    if (bucket?.busy === 0 && bucket.idle.length === 0 && bucket.queue.size === 0) this.buckets.delete(key)
  }

  released(connection: OriginConnection, reusable: boolean): void {
    const key = connection.origin.poolKey
    const bucket = this.buckets.get(key)
    if (this.inUse.remove(connection.seat)) {
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
    this.forgetEmpty(key)
  }

  /** Ends every connection: for shutdown, after the last request. */
  close(): void {
    for (const bucket of [...this.buckets.values()]) for (const connection of [...bucket.idle]) connection.destroy()
    for (const { connection } of this.inUse.list()) connection.destroy()
  }
}
