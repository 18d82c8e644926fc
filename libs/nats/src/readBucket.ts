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
import { createInbox, type Msg, type Subscription } from "@nats-io/transport-node"
import { Effect, type Scope } from "effect"
import { inboxPrefix, type Nats } from "./Nats.ts"

export interface BucketMessage {
  readonly key: string
  /** A slice of the socket's buffer: decode at once, it is large. */
  readonly data: Uint8Array
  readonly revision: number
  readonly deleted: boolean
}

export interface BucketReader {
  /** What follows until `onComplete` is the whole content. */
  readonly onReset: () => void
  readonly onMessage: (message: BucketMessage) => void
  readonly onComplete: (revision: number) => void
}

/** Where a bucket repeats what it stored; read-only by permission. */
export const changesSubject = (bucket: string): string => `cd.kv.v1.${bucket}.>`

const checkMillis = 2_000
/**
 * Messages per request; the server sends them without further questions. To say how many are left costs it some milliseconds each time, however
 * few were asked for (nats-server counts through a block of the file), and they come in one burst, which nothing else gets between.
 */
const batchSize = 500
/** Of those so many are applied in one turn of the loop, about two milliseconds' work: an edge's visitors don't wait for a full look. */
const sliceSize = 50
const silenceMillis = 2_000
/** A replica may lag behind the revision that we heard of: so often the missing is asked for again, 50 ms apart. */
const patience = 10

export const readBucket = (nats: Nats["Service"], bucket: string, reader: BucketReader): Effect.Effect<void, never, Scope.Scope> =>
  Effect.asVoid(
    Effect.acquireRelease(
      Effect.sync(() => new Follower(nats, bucket, reader)),
      (follower) => Effect.sync(() => follower.stop())
    )
  )

interface StreamState {
  readonly created: string
  readonly lastRevision: number
}

class Follower {
  private readonly nats: Nats["Service"]
  private readonly stream: string
  private readonly prefix: string
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
    this.stream = `KV_${bucket}`
    this.prefix = `$KV.${bucket}.`
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
    if (revision === this.revision + 1) this.apply(this.read(message, revision))
    else this.catchUp()
  }

  private read({ headers, data }: Msg, revision: number): BucketMessage {
    return {
      key: (headers?.get("Nats-Subject") ?? "").slice(this.prefix.length),
      data,
      revision,
      deleted: headers?.get("KV-Operation") !== "" || headers?.get("Nats-Marker-Reason") !== ""
    }
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
    const state = await this.streamState()
    const whole = this.created !== state.created || state.lastRevision < this.revision
    if (whole) {
      this.created = undefined
      this.revision = 0
      this.target = 0
      this.reader.onReset()
    }
    this.target = Math.max(this.target, state.lastRevision)
    for (let tries = 0; this.revision < this.target && !this.stopped; tries++) {
      const left = await this.fetchBatch(this.revision + 1)
      if (left > 0) tries = 0
      else if (this.revision < this.target) {
        // The newest may have been deleted without a trace, or a replica lags.
        if (state.lastRevision === this.target || tries >= patience) this.revision = this.target
        else await pause(50)
      }
    }
    if (this.stopped) return true
    if (whole) {
      this.created = state.created
      this.reader.onComplete(this.revision)
    }
    return this.revision >= this.target
  }

  /** Fetches what is stored from `from` on; gives back how many messages are left after that (NATS ADR-31, batched direct get). */
  private async fetchBatch(from: number): Promise<number> {
    // All of the stream: its subjects are the bucket's keys. A narrower filter would be matched with each of them for every batch.
    const request = JSON.stringify({ seq: from, batch: batchSize, next_by_subj: ">" })
    const messages: Array<BucketMessage> = []
    const left = await ask(this.nats, `$JS.API.DIRECT.GET.${this.stream}`, request, (message) => {
      const { headers } = message
      const status = headers?.code ?? 0
      if (this.stopped || status === 404) return { done: 0 }
      if (status === 204) return { done: Number(headers?.get("Nats-Num-Pending") || 0) }
      if (status !== 0) throw new Error(`${status} ${headers?.description}`)
      // Not the client's message: its headers are a Map of arrays, too much to be kept until it is applied.
      messages.push(this.read(message, Number(headers?.get("Nats-Sequence"))))
      return undefined
    })
    await this.applyInTurns(messages)
    return left
  }

  private async applyInTurns(messages: ReadonlyArray<BucketMessage>): Promise<void> {
    for (const [at, message] of messages.entries()) {
      if (at > 0 && at % sliceSize === 0) await new Promise((resolve) => setImmediate(resolve))
      if (this.stopped) return
      this.apply(message)
    }
  }

  private streamState(): Promise<StreamState> {
    return ask(this.nats, `$JS.API.STREAM.INFO.${this.stream}`, "", (message) => {
      if (message.headers?.code === 503) throw new Error("JetStream does not answer")
      const info = message.json<{ readonly created: string; readonly state?: StreamCounts; readonly error?: ApiError }>()
      if (info.error?.err_code === notEnabledHere) return undefined
      if (info.state === undefined) throw new Error(`${this.stream}: ${info.error?.description}`)
      return { done: { created: info.created, lastRevision: info.state.last_seq } }
    })
  }
}

interface StreamCounts {
  readonly last_seq: number
}
interface ApiError {
  readonly err_code: number
  readonly description: string
}

/** An edge's account has no JetStream of its own: the server says so, beside the answer that comes from the account that has. */
const notEnabledHere = 10039

/** A request with several replies: `onReply` gives back the result when it has it; replies must not be more than two seconds apart. */
const ask = <A>(nats: Nats["Service"], subject: string, request: string, onReply: (message: Msg) => { readonly done: A } | undefined) =>
  new Promise<A>((resolve, reject) => {
    const inbox = createInbox(inboxPrefix(nats.service))
    const finish = (act: () => void) => {
      clearTimeout(timer)
      subscription.unsubscribe()
      act()
    }
    const silence = () => finish(() => reject(new Error(`${subject}: no answer`)))
    const timer = setTimeout(silence, silenceMillis)
    const subscription = nats.subscribe(inbox, (message) => {
      timer.refresh()
      try {
        const result = onReply(message)
        if (result !== undefined) finish(() => resolve(result.done))
      } catch (error) {
        finish(() => reject(error))
      }
    })
    nats.connection.publish(subject, request, { reply: inbox })
  })

const pause = (millis: number) => new Promise<void>((resolve) => setTimeout(resolve, millis))
