/**
 * Plays the routers in front of a real CA: follows the `challenges` bucket, answers HTTP-01 and TLS-ALPN-01 from it, reports in `edges`.
 *
 * `lagMillis` delays applying a token, so that a certifier which does not wait for the edges fails its orders.
 */
import { createSecureContext, createServer } from "node:tls"
import { type ChallengeEntry, challenges, edges } from "@connect-domain/messages/buckets.ts"
import { Kv } from "@connect-domain/nats/Kv.ts"
import { parseKeyRing } from "@connect-domain/secrets/KeyRing.ts"
import { makeVault } from "@connect-domain/secrets/Vault.ts"
import { Effect, Queue, Result, Stream } from "effect"
import { Responder } from "./Responder.ts"

export interface FakeEdgeOptions {
  readonly id: string
  readonly port: number
  readonly tlsPort: number
  /** EDGE_KEK */
  readonly ring: string
  readonly lagMillis?: number
}

export interface FakeEdge {
  /** Tokens applied so far. */
  readonly applied: ReadonlyMap<string, string>
  /** False: the edge falls silent, as if it were gone. */
  alive: boolean
  /** False: answers nothing to the CA. */
  answering: boolean
}

export const startEdge = Effect.fnUntraced(function* (options: FakeEdgeOptions) {
  const kv = yield* Kv
  const [tokens, heartbeats] = [kv.bucket(challenges), kv.bucket(edges)]
  const responder = yield* Effect.acquireRelease(
    Effect.promise(() => Responder.start(options.port)),
    (running) => Effect.promise(() => running.stop())
  )
  const edge: FakeEdge = { applied: responder.answers, alive: true, answering: true }
  responder.answering = () => edge.answering
  const certificates = new Map<string, ChallengeEntry>()
  yield* serveCertificates(options, (name) =>
    edge.answering ? [...certificates.values()].find((each) => each.hostname === name) : undefined
  )
  const changed = yield* Queue.sliding<void>(1)
  let revision = 0
  yield* tokens.watch.pipe(
    Stream.runForEach((event) =>
      Effect.gen(function* () {
        if (event.type === "reset") {
          responder.answers.clear()
          certificates.clear()
          revision = 0
        }
        if (event.type === "entry") {
          if (options.lagMillis !== undefined) yield* Effect.sleep(options.lagMillis)
          certificates.delete(event.key)
          if (event.value === undefined) responder.answers.delete(event.key)
          else {
            responder.answers.set(event.key, event.value.key_authorization)
            if (event.value.type === "tls-alpn-01") certificates.set(event.key, event.value)
          }
        }
        if (event.type !== "reset") revision = Math.max(revision, event.revision)
        yield* Queue.offer(changed, undefined)
      })
    ),
    Effect.forkScoped
  )
  const beat = Effect.suspend(() =>
    edge.alive
      ? heartbeats.put(
          options.id,
          {
            edge_id: options.id,
            at: new Date().toISOString(),
            epoch: null,
            revision: 0,
            challenges_revision: revision,
            version: "test",
            hostnames: 0,
            load: 0
          },
          { ttlSeconds: 10 }
        )
      : Effect.void
  )
  yield* beat.pipe(
    Effect.ignore,
    Effect.andThen(Effect.timeoutOption(Queue.take(changed), "500 millis")),
    Effect.forever,
    Effect.forkScoped
  )
  return edge
})

const serveCertificates = ({ tlsPort, ring }: FakeEdgeOptions, find: (name: string) => ChallengeEntry | undefined) => {
  const vault = makeVault(Result.getOrThrow(parseKeyRing(ring)))
  const server = createServer({
    ALPNCallback: ({ protocols }) => (protocols.includes("acme-tls/1") ? "acme-tls/1" : undefined),
    SNICallback: (name, done) => {
      const entry = find(name)
      if (entry === undefined) return done(new Error("nothing to serve"))
      const place = { tenant: entry.hostname, table: "challenges", column: "key", row: entry.token }
      const key = Result.getOrThrow(vault.openText(entry.sealed_key!, place))
      return done(null, createSecureContext({ cert: entry.certificate, key }))
    }
  })
  server.on("secureConnection", (socket) => socket.end())
  return Effect.acquireRelease(
    Effect.promise(() => new Promise<void>((resolve) => server.listen(tlsPort, "127.0.0.1", resolve))),
    () => Effect.promise(() => new Promise<unknown>((resolve) => server.close(resolve)))
  )
}
