/**
 * Reading a bucket in order, for ever: the whole content, then every change.
 *
 * Owns: fetching what is stored, taking changes as they come, noticing that something is missing. Leaves to `watchBucket.ts`: what the
 * messages mean; to `provision.ts`: that a bucket repeats each stored value, with its revision, on `cd.kv.v1.<bucket>.<key>`.
 * Built against: server restart and kill, network cuts, changes that did not arrive (a gap in the revisions is fetched), a bucket made anew
 * (revisions start at 1 again: everything is read again), and a watch that silently stopped (the bucket's last revision is compared every
 * two seconds and after each reconnection).
 * Without a JetStream consumer on purpose: who may create one may let the server deliver into any subject, another bucket's too. This
 * needs no right but to read.
 */
import type { Msg, Subscription } from "@nats-io/transport-node"
import { Effect, type Scope } from "effect"
import { BatchMemory } from "./BatchMemory.ts"
import { type BucketMessage, changesSubject, fetchBatch, nextAtLeader, readMessage, streamState } from "./bucketStream.ts"
import type { Nats } from "./Nats.ts"

export interface BucketReader {
  /** What follows until `onComplete` is the whole content. */
  readonly onReset: () => void
  readonly onMessage: (message: BucketMessage) => void
  readonly onComplete: (revision: number) => void
  /** The bucket was asked just now and has nothing that was not told: at least every two seconds while it answers. */
  readonly onCurrent?: (() => void) | undefined
}

const checkMillis = 2_000
/** So many messages are applied in one turn of the loop, about two milliseconds' work: an edge's visitors don't wait for a full look. */
const sliceSize = 50
/** A replica may lag behind the revision that we heard of: so often the missing is asked for again, 50 ms apart, before the leader is asked. */
const patience = 4

export const readBucket = (nats: Nats["Service"], bucket: string, reader: BucketReader): Effect.Effect<void, never, Scope.Scope> =>
  Effect.asVoid(
    Effect.acquireRelease(
      Effect.sync(() => new Follower(nats, bucket, reader)),
      (follower) => Effect.sync(() => follower.stop())
    )
  )

class Follower {
  private readonly nats: Nats["Service"]
  private readonly bucket: string
  private readonly reader: BucketReader
  private readonly changes: Subscription
  private readonly timer: NodeJS.Timeout
  private readonly stopListening: () => void
  private stopped = false
  /** Which bucket this is: when it was made. Undefined: nothing has been read completely yet. */
  private created: string | undefined
  private revision = 0
  /** The highest revision heard of. */
  private target = 0
  private catchingUp = false

  constructor(nats: Nats["Service"], bucket: string, reader: BucketReader) {
    this.nats = nats
    this.bucket = bucket
    this.reader = reader
    this.changes = nats.subscribe(changesSubject(bucket), (message) => this.onChange(message))
    this.stopListening = nats.onReconnect(() => this.catchUp())
    this.timer = setInterval(() => this.catchUp(), checkMillis)
    this.catchUp()
  }

  stop() {
    this.stopped = true
    clearInterval(this.timer)
    this.stopListening()
    this.changes.unsubscribe()
  }

  private onChange(message: Msg) {
    const revision = Number(message.headers?.get("Nats-Sequence"))
    if (revision > this.target) this.target = revision
    if (this.catchingUp || this.created === undefined || revision <= this.revision) return
    if (revision === this.revision + 1) this.apply(readMessage(this.bucket, message))
    else this.catchUp()
  }

  private apply(message: BucketMessage) {
    this.revision = message.revision
    this.reader.onMessage(message)
  }

  /** One at a time; changes that arrive meanwhile raise the target and are fetched. Tries until it is done or stopped. */
  private catchUp() {
    if (this.catchingUp || this.stopped) return
    this.catchingUp = true
    void (async () => {
      for (let failures = 0; !this.stopped; failures++) {
        const done = await this.fetchMissing().catch(() => false)
        if (done) break
        await pause(Math.min(1_000, 50 * 2 ** Math.min(failures, 5)) * (0.75 + Math.random() / 2))
      }
      this.catchingUp = false
    })()
  }

  private async fetchMissing(): Promise<boolean> {
    const state = await streamState(this.nats, this.bucket)
    const whole = this.created !== state.created || state.lastRevision < this.revision
    if (whole) {
      this.created = undefined
      this.revision = 0
      this.target = 0
      this.reader.onReset()
    }
    this.target = Math.max(this.target, state.lastRevision)
    const memory = new BatchMemory()
    for (let tries = 0; this.revision < this.target && !this.stopped; tries++) {
      const left = await this.fetchStored(memory)
      if (left > 0) tries = 0
      else if (this.revision < this.target && tries < patience) await pause(50)
      else if (this.revision < this.target) await this.fetchAtLeader()
    }
    if (this.stopped) return true
    if (whole) {
      this.created = state.created
      this.reader.onComplete(this.revision)
    }
    this.reader.onCurrent?.()
    return true
  }

  /** Gives back how many messages are left. */
  private async fetchStored(memory: BatchMemory): Promise<number> {
    const messages: Array<BucketMessage> = []
    memory.clear()
    const left = await fetchBatch(this.nats, this.bucket, this.revision + 1, (message) => {
      message.data = memory.put(message.data)
      messages.push(message)
    })
    await this.applyInTurns(messages)
    return left
  }

  /** The newest may have expired without a trace; the leader knows. What is heard of while it is asked is another question. */
  private async fetchAtLeader(): Promise<void> {
    const { target } = this
    const message = await nextAtLeader(this.nats, this.bucket, this.revision + 1)
    if (message === undefined) this.revision = target
    else if (!this.stopped) this.apply(message)
  }

  private async applyInTurns(messages: ReadonlyArray<BucketMessage>): Promise<void> {
    for (const [at, message] of messages.entries()) {
      if (at > 0 && at % sliceSize === 0) await new Promise((resolve) => setImmediate(resolve))
      if (this.stopped) return
      this.apply(message)
    }
  }
}

const pause = (millis: number) => new Promise<void>((resolve) => setTimeout(resolve, millis))
