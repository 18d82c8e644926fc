/**
 * Reading a bucket's stream in order, for ever.
 *
 * Owns: the ephemeral ordered consumer: making it, seeing that nothing is missing, making it again from the last revision, and noticing
 * when that is not enough (then the whole content is read again). Leaves to `watchBucket.ts`: what the messages mean.
 * Built against: server restart and kill, network cuts, a slow reader, a consumer that vanished, a stream that was deleted and made anew
 * (revisions start at 1 again), and a watch that has silently stopped: heartbeats, and the stream's last revision compared every 10 s.
 * Not the client's own ordered consumer: that one raises its heartbeat to 30 s after a reset and can't tell that a stream was made anew.
 */
import type { Msg, Subscription } from "@nats-io/transport-node"
import { createInbox, nuid } from "@nats-io/transport-node"
import { Effect, type Scope } from "effect"
import { inboxPrefix, type Nats } from "./Nats.ts"

export interface BucketMessage {
  readonly key: string
  /** A slice of the socket's buffer: decode at once. */
  readonly data: Uint8Array
  readonly revision: number
  readonly deleted: boolean
}

export interface BucketReader {
  readonly headersOnly?: boolean
  readonly onReset: () => void
  readonly onMessage: (message: BucketMessage) => void
  readonly onComplete: (revision: number) => void
}

/** The server says that it is alive this often; two and a half silences make a new consumer. Seconds. */
const heartbeatSeconds = 2
const checkMillis = 10_000

/** What is used of a message. */
interface Taken {
  readonly subject: string
  readonly reply?: string | undefined
  readonly headers?: Msg["headers"] | undefined
  readonly data: Uint8Array
}

interface StreamState {
  readonly created: string
  readonly lastRevision: number
}

export const readBucket = (nats: Nats["Service"], bucket: string, reader: BucketReader): Effect.Effect<void, never, Scope.Scope> =>
  Effect.asVoid(
    Effect.acquireRelease(
      Effect.sync(() => new OrderedReader(nats, bucket, reader)),
      (running) => Effect.sync(() => running.stop())
    )
  )

class OrderedReader {
  private readonly nats: Nats["Service"]
  private readonly stream: string
  private readonly prefixLength: number
  private readonly bucket: string
  private readonly reader: BucketReader
  private subscription: Subscription | undefined
  private timer: NodeJS.Timeout | undefined
  private readonly checker: NodeJS.Timeout
  private readonly stopListening: () => void
  /** Counts consumers: what belongs to an earlier one is ignored. */
  private generation = 0
  /** Which stream this is; undefined: nothing read yet, or to be read anew. */
  private created: string | undefined
  private lastRevision = 0
  private consumerSequence = 0
  /** Messages of the whole content that are still to come; undefined: complete. */
  private missing: number | undefined
  private completeAt = 0
  private lastHeard = 0
  private suspicious = -1
  private failures = 0

  constructor(nats: Nats["Service"], bucket: string, reader: BucketReader) {
    this.nats = nats
    this.bucket = bucket
    this.stream = `KV_${bucket}`
    this.prefixLength = `$KV.${bucket}.`.length
    this.reader = reader
    this.checker = setInterval(() => void this.check(), checkMillis)
    this.stopListening = nats.onReconnect(() => void this.restart())
    void this.restart()
  }

  stop() {
    this.generation++
    this.stopListening()
    clearInterval(this.checker)
    clearTimeout(this.timer)
    this.subscription?.unsubscribe()
  }

  /** A new consumer: from the last revision, or for the whole content when there is none or the stream is another one. */
  private async restart() {
    const generation = ++this.generation
    this.subscription?.unsubscribe()
    clearTimeout(this.timer)
    try {
      const state = await this.streamState()
      if (generation !== this.generation) return
      const whole = this.created !== state.created || state.lastRevision < this.lastRevision || this.missing !== undefined
      const inbox = createInbox(inboxPrefix(this.nats.service))
      this.consumerSequence = 0
      this.lastHeard = performance.now()
      this.subscription = this.nats.subscribe(inbox, (message) => this.receive(generation, message))
      const early: Array<() => void> = []
      this.pending = early
      const pending = await this.createConsumer(inbox, whole ? undefined : this.lastRevision + 1)
      if (generation !== this.generation) return
      this.failures = 0
      if (whole) {
        this.created = state.created
        this.lastRevision = 0
        this.missing = pending
        this.completeAt = state.lastRevision
        this.reader.onReset()
        if (pending === 0) this.complete()
      }
      this.pending = undefined
      for (const replay of early) replay()
      this.watchSilence(generation)
    } catch {
      if (generation !== this.generation) return
      this.failures++
      this.timer = setTimeout(() => void this.restart(), Math.min(2_000, 50 * 2 ** Math.min(this.failures, 6)) * (0.75 + Math.random() / 2))
    }
  }

  /** Messages that arrive before the answer to the creation wait for it: it says how many make up the whole content. */
  private pending: Array<() => void> | undefined

  private receive(generation: number, message: Msg): void {
    if (generation !== this.generation) return
    this.lastHeard = performance.now()
    if (this.pending !== undefined) {
      const copy = { subject: message.subject, reply: message.reply, headers: message.headers, data: message.data.slice() }
      this.pending.push(() => this.take(generation, copy))
    } else this.take(generation, message)
  }

  private take(generation: number, message: Taken) {
    if (generation !== this.generation) return
    const { headers, reply } = message
    if (headers !== undefined && headers.code !== 0) return this.status(message)
    const position = parseReply(reply)
    if (position === undefined) return
    if (position.consumerSequence !== this.consumerSequence + 1) return void this.restart()
    this.consumerSequence = position.consumerSequence
    this.lastRevision = position.streamSequence
    this.reader.onMessage({
      key: message.subject.slice(this.prefixLength),
      data: message.data,
      revision: position.streamSequence,
      deleted: headers !== undefined && (headers.get("KV-Operation") !== "" || headers.get("Nats-Marker-Reason") !== "")
    })
    if (this.missing !== undefined && (--this.missing <= 0 || position.pending === 0)) this.complete()
  }

  private complete() {
    this.missing = undefined
    this.lastRevision = Math.max(this.lastRevision, this.completeAt)
    this.reader.onComplete(this.lastRevision)
  }

  /** 100 with a reply: the server asks whether we keep up. 100 without: heartbeat, which says what should have arrived. 409: gone. */
  private status({ headers, reply }: Taken) {
    if (headers === undefined) return
    if (headers.code !== 100) return void this.restart()
    if (reply !== undefined && reply !== "") return this.nats.publish(reply, "")
    const stalled = headers.get("Nats-Consumer-Stalled")
    if (stalled !== "") this.nats.publish(stalled, "")
    if (Number(headers.get("Nats-Last-Consumer") || "0") !== this.consumerSequence) return void this.restart()
    // A heartbeat means that nothing is waiting: whatever the whole content still lacked was overwritten or has expired meanwhile.
    if (this.missing !== undefined) this.complete()
  }

  private watchSilence(generation: number) {
    const limit = heartbeatSeconds * 2_500
    const look = () => {
      if (generation !== this.generation) return
      const silence = performance.now() - this.lastHeard
      if (silence >= limit) void this.restart()
      else this.timer = setTimeout(look, limit - silence + 5)
    }
    this.timer = setTimeout(look, limit)
  }

  /** Twice in a row behind the stream's last revision, without moving: changes were missed. Another stream: read it all. */
  private async check() {
    const generation = this.generation
    const state = await this.streamState().catch(() => undefined)
    if (state === undefined || generation !== this.generation || this.missing !== undefined) return
    if (state.created !== this.created || state.lastRevision < this.lastRevision) return void this.restart()
    if (state.lastRevision > this.lastRevision && this.suspicious === this.lastRevision) {
      this.created = undefined
      return void this.restart()
    }
    this.suspicious = state.lastRevision > this.lastRevision ? this.lastRevision : -1
  }

  private async streamState(): Promise<StreamState> {
    const reply = await this.nats.request(`$JS.API.STREAM.INFO.${this.stream}`, "", { timeoutMillis: 2_000 })
    const info = reply.json<{ readonly created: string; readonly state?: { readonly last_seq: number }; readonly error?: unknown }>()
    if (info.state === undefined) throw new Error(`${this.stream}: ${JSON.stringify(info.error)}`)
    return { created: info.created, lastRevision: info.state.last_seq }
  }

  /** How many messages are waiting for the new consumer. */
  private async createConsumer(inbox: string, from: number | undefined): Promise<number> {
    const name = `watch_${this.nats.service}_${nuid.next()}`
    const filter = `$KV.${this.bucket}.>`
    const config = {
      name,
      deliver_subject: inbox,
      filter_subject: filter,
      ack_policy: "none",
      max_deliver: 1,
      mem_storage: true,
      num_replicas: 1,
      flow_control: true,
      idle_heartbeat: heartbeatSeconds * 1e9,
      inactive_threshold: 30 * 1e9,
      headers_only: this.reader.headersOnly === true,
      ...(from === undefined ? { deliver_policy: "last_per_subject" } : { deliver_policy: "by_start_sequence", opt_start_seq: from })
    }
    const reply = await this.nats.request(
      `$JS.API.CONSUMER.CREATE.${this.stream}.${name}.${filter}`,
      JSON.stringify({ stream_name: this.stream, config, action: "create" }),
      { timeoutMillis: 2_000 }
    )
    const answer = reply.json<{
      readonly num_pending?: number
      readonly delivered?: { readonly consumer_seq: number }
      readonly error?: unknown
    }>()
    if (answer.error !== undefined) throw new Error(JSON.stringify(answer.error))
    return (answer.num_pending ?? 0) + (answer.delivered?.consumer_seq ?? 0)
  }
}

/** `$JS.ACK.<stream>.<consumer>.<deliveries>.<stream seq>.<consumer seq>.<time>.<pending>`, or the longer form with domain and account. */
const parseReply = (reply: string | undefined) => {
  const tokens = reply?.split(".")
  if (tokens === undefined || tokens.length < 9 || tokens[0] !== "$JS") return undefined
  const shift = tokens.length > 9 ? 2 : 0
  return {
    streamSequence: Number(tokens[5 + shift]),
    consumerSequence: Number(tokens[6 + shift]),
    pending: Number(tokens[8 + shift])
  }
}
