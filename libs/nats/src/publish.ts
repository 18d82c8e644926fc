/**
 * Publishing into a stream or bucket, with the server's acknowledgement awaited.
 *
 * Owns: the PubAck protocol (NATS ADR-22), its time limit and retries. Leaves to `Work` and `Kv`: headers and what a refusal means.
 * Built against: a message in flight while the connection drops (repeated: its id or its expected revision makes that harmless) and a
 * stream that is full (refused clearly, the caller keeps its copy).
 */
import { Data, Effect } from "effect"
import { isNoResponders, type Nats, NatsUnavailable } from "./Nats.ts"

/** The server's own refusal, e.g. 10071 wrong last sequence, 10077 maximum bytes exceeded. */
export class PublishRefused extends Data.TaggedError("PublishRefused")<{ readonly code: number; readonly message: string }> {}

export interface PublishAck {
  readonly stream: string
  /** The message's sequence in its stream: a bucket's revision. */
  readonly seq: number
  /** The server had this id already. */
  readonly duplicate?: boolean
}

/** A put in flight at a disconnect waits out its whole limit, so that is short and followed by a retry. Milliseconds. */
const attemptMillis = 800
/** Attempts, for a publish that may be repeated: about 3.5 s until `NatsUnavailable`. */
const attempts = 4
const pauseMillis = 100

export const publishOnce = (
  nats: Nats["Service"],
  subject: string,
  data: Uint8Array | string,
  headers?: Readonly<Record<string, string>>
): Effect.Effect<PublishAck, NatsUnavailable | PublishRefused> =>
  Effect.callback((resume) => {
    nats.request(subject, data, { timeoutMillis: attemptMillis, headers }).then(
      (reply) => {
        const ack = reply.json<PublishAck & { readonly error?: { readonly err_code: number; readonly description: string } }>()
        if (ack.error === undefined) resume(Effect.succeed(ack))
        else resume(Effect.fail(new PublishRefused({ code: ack.error.err_code, message: ack.error.description })))
      },
      (cause: unknown) => {
        const why = isNoResponders(cause) ? "no stream takes it (not provisioned, or JetStream is starting)" : "no acknowledgement"
        resume(Effect.fail(new NatsUnavailable({ message: `${subject}: ${why}`, cause })))
      }
    )
  })

/** Publishes something that may be published twice. Any refusal (a full stream) counts as `NatsUnavailable`: the caller keeps its copy. */
export const publishRepeatedly = (
  nats: Nats["Service"],
  subject: string,
  data: Uint8Array | string,
  headers?: Readonly<Record<string, string>>
): Effect.Effect<PublishAck, NatsUnavailable> => {
  const attempt = (left: number): Effect.Effect<PublishAck, NatsUnavailable> =>
    Effect.catch(publishOnce(nats, subject, data, headers), (error) =>
      error._tag === "PublishRefused"
        ? Effect.fail(new NatsUnavailable({ message: `${subject}: refused: ${error.message} (${error.code})`, cause: error }))
        : left > 1
          ? Effect.andThen(Effect.sleep(pauseMillis), attempt(left - 1))
          : Effect.fail(error)
    )
  return attempt(attempts)
}
