/** Reading a bucket of several replicas: the leader knows more than the replica that answers direct gets. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import { changesSubject } from "./bucketStream.ts"
import type { Nats } from "./Nats.ts"
import { readBucket } from "./readBucket.ts"

const encoder = new TextEncoder()
const key = (revision: number) => `$KV.hostnames.k${revision}`
const headers = (fields: Readonly<Record<string, string>>, code = 0) => ({
  code,
  description: "",
  get: (name: string) => fields[name] ?? ""
})
const stored = (revision: number, data: string) => ({
  headers: headers({ "Nats-Sequence": String(revision), "Nats-Subject": key(revision) }),
  data: encoder.encode(data)
})

const seqOf = (request: string) => (JSON.parse(request) as { readonly seq: number }).seq

type OnMessage = (message: unknown) => void

/** A stream with a leader and one replica that answers all direct gets. */
class Replicated {
  /** The last revisions that each of them has. */
  leader = 0
  replica = 0
  /** Revisions that are gone. */
  readonly expired = new Set<number>()
  leaderReads = 0
  /** When the leader is asked for a message. */
  onLeaderRead = () => {}
  private readonly subscriptions = new Map<string, OnMessage>()
  private reconnected = () => {}

  readonly nats = {
    service: "router",
    subscribe: (subject: string, onMessage: OnMessage) => {
      this.subscriptions.set(subject, onMessage)
      return { unsubscribe: () => this.subscriptions.delete(subject) }
    },
    onReconnect: (run: () => void) => {
      this.reconnected = run
      return () => {}
    },
    connection: {
      publish: (subject: string, request: string, { reply }: { readonly reply: string }) =>
        void setTimeout(() => this.answer(subject, request, (message) => this.subscriptions.get(reply)?.(message)), 1)
    }
  } as unknown as Nats["Service"]

  /** Committed by the leader, and repeated to who listens. */
  put(): void {
    this.leader++
    this.subscriptions.get(changesSubject("hostnames"))?.(stored(this.leader, String(this.leader)))
  }

  /** Has the reader compare revisions, as it does every two seconds. */
  look(): void {
    this.reconnected()
  }

  private first(from: number, last: number): number | undefined {
    for (let revision = from; revision <= last; revision++) if (!this.expired.has(revision)) return revision
    return undefined
  }

  private answer(subject: string, request: string, reply: OnMessage): void {
    if (subject.startsWith("$JS.API.STREAM.INFO")) reply({ json: () => ({ created: "then", state: { last_seq: this.leader } }) })
    else if (subject.startsWith("$JS.API.STREAM.MSG.GET")) this.answerAsLeader(seqOf(request), reply)
    else this.answerAsReplica(seqOf(request), reply)
  }

  private answerAsLeader(from: number, reply: OnMessage): void {
    this.leaderReads++
    const seq = this.first(from, this.leader)
    const data = Buffer.from(String(seq)).toString("base64")
    const answer = seq === undefined ? { error: { err_code: 10037 } } : { message: { seq, subject: key(seq), data } }
    this.onLeaderRead()
    reply({ json: () => answer })
  }

  private answerAsReplica(from: number, reply: OnMessage): void {
    const found = this.first(from, this.replica)
    for (let next = found; next !== undefined; next = this.first(next + 1, this.replica)) reply(stored(next, String(next)))
    reply({ headers: found === undefined ? headers({}, 404) : headers({ "Nats-Num-Pending": "0" }, 204) })
  }
}

const follow = (stream: Replicated): Effect.Effect<{ readonly told: ReadonlyArray<string>; complete: number }, never, Scope.Scope> =>
  Effect.gen(function* () {
    const state = { told: [] as Array<string>, complete: 0 }
    yield* readBucket(stream.nats, "hostnames", {
      onReset: () => {},
      onMessage: ({ key, data, revision }) => {
        assert.strictEqual(new TextDecoder().decode(data), String(revision))
        state.told.push(key)
      },
      onComplete: (revision) => {
        state.complete = revision
      }
    })
    return state
  })

const until = (condition: () => boolean) =>
  Effect.retry(
    Effect.suspend(() => (condition() ? Effect.void : Effect.andThen(Effect.sleep("5 millis"), Effect.fail("not yet")))),
    { times: 4_000 }
  )

describe("a bucket of several replicas", () => {
  it.live("tells what the leader has before the replica that is asked, and what is repeated meanwhile", () =>
    Effect.gen(function* () {
      const stream = new Replicated()
      Object.assign(stream, { leader: 2, replica: 2 })
      const state = yield* follow(stream)
      yield* until(() => state.complete === 2)
      // Seen by a look before it was repeated, and the replica is never going to have it in time.
      stream.leader = 3
      stream.look()
      yield* until(() => stream.leaderReads > 0 || state.told.length > 2)
      stream.put()
      yield* until(() => state.told.length === 4)
      stream.replica = stream.leader
      stream.put()
      yield* until(() => state.told.at(-1) === "k5")
      assert.deepStrictEqual(state.told, ["k1", "k2", "k3", "k4", "k5"])
    })
  )

  it.live("passes over what has expired, but not what comes while the leader is asked about it", () =>
    Effect.gen(function* () {
      const stream = new Replicated()
      Object.assign(stream, { leader: 3, replica: 3 })
      for (const revision of [2, 3]) stream.expired.add(revision)
      stream.onLeaderRead = () => {
        if (stream.leaderReads === 1) stream.put()
      }
      const state = yield* follow(stream)
      yield* until(() => state.complete === 4)
      assert.deepStrictEqual(state.told, ["k1", "k4"])
    })
  )
})
