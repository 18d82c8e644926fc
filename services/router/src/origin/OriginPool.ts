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
import { RepeatedHead } from "../http1/RepeatedHead.ts"
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

/** The connections to one origin. */
export interface Bucket {
  /** What they are shared under. */
  readonly key: string
  readonly idle: Array<OriginConnection>
  /** In use or opening. */
  busy: number
  /** Not empty only while `busy` is at the cap, or until the end of the turn in which it ceased to be. */
  readonly queue: OriginQueue
  /** Of its answers. */
  readonly repeated: RepeatedHead
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
  /** In use, and kept. */
  private readonly connections = new Roster<OriginConnection["seat"]>()
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
    return { busy: this.connections.size - idle, idle, waiting }
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
    connection.inUse = true
    return connection
  }

  private full(bucket: Bucket): boolean {
    return bucket.busy >= this.limits.perOrigin
  }

  /** Opens a connection, or waits for one first, which may be a kept one then. Never calls back before it returns. */
  connect(origin: Origin, wanted: Wanted, done: Done): Pending {
    const bucket = this.bucketOf(origin.poolKey)
    if (this.full(bucket) || bucket.queue.size > 0) return this.wait(bucket, origin, wanted, done)
    return { waiting: false, cancel: this.openNew(bucket, origin, done) }
  }

  private bucketOf(key: string): Bucket {
    const known = this.buckets.get(key)
    if (known !== undefined) return known
    const bucket: Bucket = { key, idle: [], busy: 0, queue: new OriginQueue(this.limits.queue), repeated: new RepeatedHead() }
    this.buckets.set(key, bucket)
    return bucket
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
        this.leave(bucket)
        return done(result)
      }
      const connection = new OriginConnection(result, input, { origin, bucket, owner: this })
      this.connections.add(connection.seat)
      done(connection)
    })
    return () => {
      cancel()
      this.leave(bucket)
    }
  }

  private leave(bucket: Bucket): void {
    bucket.busy--
    if (bucket.queue.size > 0)
      process.nextTick(() => this.handOn(bucket)) // not in the midst of what freed the place
    else this.forgetEmpty(bucket)
  }

  private handOn(bucket: Bucket): void {
    while (!this.full(bucket)) {
      const next = bucket.queue.next()
      if (next === undefined) break
      next.go()
    }
    this.forgetEmpty(bucket)
  }

  /** Its key may have another one by now, of connections that came later. */
  private forgetEmpty(bucket: Bucket): void {
    const { busy, idle, key, queue } = bucket
    if (busy === 0 && idle.length === 0 && queue.size === 0 && this.buckets.get(key) === bucket) this.buckets.delete(key)
  }

  released(connection: OriginConnection, reusable: boolean): void {
    const { bucket, inUse, origin } = connection
    const { idle } = bucket
    const kept = inUse && reusable && origin.preface === undefined && idle.length < this.limits.idlePerOrigin && connection.keepMillis > 0
    connection.inUse = false
    if (kept) idle.push(connection)
    else this.connections.remove(connection.seat)
    if (inUse) {
      this.leave(bucket)
      if (reusable && !kept) connection.destroy()
      return
    }
    const at = idle.indexOf(connection)
    if (at < 0) return
    idle.splice(at, 1)
    this.forgetEmpty(bucket)
  }

  /** Ends every connection: for shutdown, after the last request. */
  close(): void {
    for (const { connection } of this.connections.list()) connection.destroy()
  }
}
