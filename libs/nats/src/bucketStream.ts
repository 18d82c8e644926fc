/**
 * What is asked of a bucket's stream: how far it is, and what it holds from a revision on.
 *
 * Owns: the requests, the form of their replies, and who answers. A direct get is answered by any replica, which may be behind; `STREAM.INFO` and
 * `STREAM.MSG.GET` by the leader. Leaves to `readBucket.ts`: order, and what is missing.
 */
import { createInbox, type Msg } from "@nats-io/transport-node"
import { inboxPrefix, type Nats } from "./Nats.ts"

/**
 * Of a class, not a literal: where literals outlived young collections while the heap was small, V8 allocates them in old space from then on
 * (allocation-site pretenuring), and each keeps what it refers to alive until a full collection, long after it was applied.
 */
export class BucketMessage {
  readonly key: string
  /** A slice of the socket's buffer, which is large: decode at once, or copy. */
  data: Uint8Array
  readonly revision: number
  readonly deleted: boolean

  constructor(key: string, data: Uint8Array, revision: number, deleted: boolean) {
    this.key = key
    this.data = data
    this.revision = revision
    this.deleted = deleted
  }
}

export interface StreamState {
  /** When the bucket was made: another one is another bucket. */
  readonly created: string
  readonly lastRevision: number
}

/** Where a bucket repeats what it stored; read-only by permission. */
export const changesSubject = (bucket: string): string => `cd.kv.v1.${bucket}.>`

/**
 * Messages per request; the server sends them without further questions. To say how many are left costs it some milliseconds each time, however
 * few were asked for (nats-server counts through a block of the file), and they come in one burst, which nothing else gets between.
 */
const batchSize = 500
const silenceMillis = 2_000

/** Headers of a message that says that its key is gone. */
const operation = "KV-Operation"
const markerReason = "Nats-Marker-Reason"

const keyOf = (bucket: string, subject: string): string => subject.slice(`$KV.${bucket}.`.length)

/** A message as the server repeats it, or as a direct get gives it. */
export const readMessage = (bucket: string, { headers, data }: Msg): BucketMessage => {
  const deleted = headers?.get(operation) !== "" || headers?.get(markerReason) !== ""
  return new BucketMessage(keyOf(bucket, headers?.get("Nats-Subject") ?? ""), data, Number(headers?.get("Nats-Sequence")), deleted)
}

/** As the leader knows it. */
export const streamState = (nats: Nats["Service"], bucket: string): Promise<StreamState> =>
  askLeader<{ readonly created: string; readonly state: { readonly last_seq: number } }, StreamState>(
    nats,
    `$JS.API.STREAM.INFO.KV_${bucket}`,
    "",
    ({ created, state }) => ({ created, lastRevision: state.last_seq })
  )

/** Fetches what a replica has stored from `from` on; gives back how many messages are left after that (NATS ADR-31, batched direct get). */
export const fetchBatch = (
  nats: Nats["Service"],
  bucket: string,
  from: number,
  onMessage: (message: BucketMessage) => void
): Promise<number> => {
  // All of the stream: its subjects are the bucket's keys. A narrower filter would be matched with each of them for every batch.
  const request = JSON.stringify({ seq: from, batch: batchSize, next_by_subj: ">" })
  return ask(nats, `$JS.API.DIRECT.GET.KV_${bucket}`, request, (message) => {
    const { headers } = message
    const status = headers?.code ?? 0
    if (status === 404) return { done: 0 }
    if (status === 204) return { done: Number(headers?.get("Nats-Num-Pending") || 0) }
    if (status !== 0) throw new Error(`${status} ${headers?.description}`)
    // Not the client's message: its headers are a Map of arrays, too much to be kept until it is applied.
    onMessage(readMessage(bucket, message))
    return undefined
  })
}

interface StoredMessage {
  readonly subject: string
  readonly seq: number
  /** Base64, as is `data`. */
  readonly hdrs?: string
  readonly data?: string
}

type WhichMessage = { readonly seq: number; readonly next_by_subj: string } | { readonly last_by_subj: string }

/** The first message from `from` on that the leader has; undefined: there is none. */
export const nextAtLeader = (nats: Nats["Service"], bucket: string, from: number): Promise<BucketMessage | undefined> =>
  messageAtLeader(nats, bucket, { seq: from, next_by_subj: ">" })

/** The last message that the leader has; undefined: there is none. */
export const lastAtLeader = (nats: Nats["Service"], bucket: string): Promise<BucketMessage | undefined> =>
  messageAtLeader(nats, bucket, { last_by_subj: ">" })

const messageAtLeader = (nats: Nats["Service"], bucket: string, which: WhichMessage): Promise<BucketMessage | undefined> =>
  askLeader<{ readonly message: StoredMessage }, BucketMessage | undefined>(
    nats,
    `$JS.API.STREAM.MSG.GET.KV_${bucket}`,
    JSON.stringify(which),
    ({ message: { subject, seq, hdrs = "", data = "" } }) => {
      const headers = Buffer.from(hdrs, "base64").toString()
      const deleted = headers.includes(`${operation}:`) || headers.includes(`${markerReason}:`)
      return new BucketMessage(keyOf(bucket, subject), Buffer.from(data, "base64"), seq, deleted)
    },
    noMessage
  )

interface ApiError {
  readonly err_code: number
  readonly description: string
}

/** An edge's account has no JetStream of its own: the server says so, beside the answer that comes from the account that has. */
const notEnabledHere = 10039
const noMessage = 10037

/** `none`: the error that stands for an answer of nothing. */
const askLeader = <Reply, A>(
  nats: Nats["Service"],
  subject: string,
  request: string,
  read: (reply: Reply) => A,
  none?: number
): Promise<A> =>
  ask(nats, subject, request, (message) => {
    if (message.headers?.code === 503) throw new Error("JetStream does not answer")
    const reply = message.json<Reply & { readonly error?: ApiError }>()
    if (reply.error === undefined) return { done: read(reply) }
    if (reply.error.err_code === notEnabledHere) return undefined
    if (reply.error.err_code === none) return { done: undefined as A }
    throw new Error(`${subject}: ${reply.error.description}`)
  })

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
