/**
 * One question to one server: bounded in time, bounded in number per server, by UDP and then TCP.
 *
 * Owns: attempts and their time limits, the fall-back to TCP and to plain DNS, how many questions a server gets at once. Leaves to
 * `Authorities` which server is asked, to `Resolver` what an answer means. Built against: a burst of ten thousand looks that drowns in its
 * own lost packets (measured: 12,000/s at 50 in flight, seconds of delay at 500), and a dead server that makes each of them wait.
 */
import { Clock, Context, Data, Effect, Layer, Semaphore } from "effect"
import type { Question, Reply } from "./message.ts"
import { tcpExchange } from "./tcpExchange.ts"
import { type Peer, UdpExchange } from "./udpExchange.ts"

/** `Timeout`: no answer in time. `Unreachable`: the network said so, or the connection broke. */
export class DnsTransportError extends Data.TaggedError("DnsTransportError")<{
  readonly reason: "Timeout" | "Unreachable"
  readonly detail: string
}> {
  override get message() {
    return this.detail
  }
}

export type TransportLimits = {
  /** Wait for each UDP attempt, in milliseconds; as many attempts as entries. */
  readonly udpMillis: ReadonlyArray<number>
  readonly tcpMillis: number
  /** Questions in flight at one server. */
  readonly perServer: number
  /** A server that missed an answer completely is not asked again for this long. */
  readonly restMillis: number
}
export const defaultLimits: TransportLimits = { udpMillis: [700, 1300], tcpMillis: 2000, perServer: 64, restMillis: 1500 }

type ServerState = { readonly gate: Semaphore.Semaphore; users: number; restUntil: number }
const FORMERR = 1
const NOTIMP = 4

export class DnsTransport extends Context.Service<
  DnsTransport,
  {
    /** The reply with this id and question from this peer, whatever its response code. Safe to interrupt. */
    readonly exchange: (peer: Peer, question: Question) => Effect.Effect<Reply, DnsTransportError>
  }
>()("dns/DnsTransport") {
  static make(limits: TransportLimits = defaultLimits) {
    return Effect.map(
      Effect.acquireRelease(
        Effect.sync(() => new UdpExchange()),
        (udp) => Effect.sync(() => udp.close())
      ),
      (udp) => DnsTransport.of({ exchange: bounded(limits, (peer, question) => attempts(udp, limits, peer, question)) })
    )
  }
  static layerWith(limits: TransportLimits) {
    return Layer.effect(DnsTransport, DnsTransport.make(limits))
  }
  static readonly layer = Layer.effect(DnsTransport, DnsTransport.make())
}

const bounded = (limits: TransportLimits, ask: (peer: Peer, question: Question) => Effect.Effect<Reply, DnsTransportError>) => {
  const servers = new Map<string, ServerState>()
  return (peer: Peer, question: Question): Effect.Effect<Reply, DnsTransportError> =>
    Effect.suspend(() => {
      const key = `${peer.address} ${peer.port}`
      const state = servers.get(key) ?? { gate: Semaphore.makeUnsafe(limits.perServer), users: 0, restUntil: 0 }
      servers.set(key, state)
      state.users++
      const once = Clock.currentTimeMillis.pipe(
        Effect.flatMap((now) => (now < state.restUntil ? Effect.fail(resting) : ask(peer, question))),
        Effect.tapError((error) =>
          Effect.map(Clock.currentTimeMillis, (now) => {
            if (error.reason === "Timeout" && error !== resting) state.restUntil = now + limits.restMillis
          })
        )
      )
      return Semaphore.withPermit(state.gate, once).pipe(
        Effect.ensuring(
          Effect.sync(() => {
            if (--state.users === 0 && servers.size > 1000) servers.delete(key)
          })
        )
      )
    })
}
const resting = new DnsTransportError({ reason: "Timeout", detail: "no answer a moment ago" })

const attempts = (udp: UdpExchange, limits: TransportLimits, peer: Peer, question: Question): Effect.Effect<Reply, DnsTransportError> => {
  const overUdp = (edns: boolean) =>
    limits.udpMillis
      .map((millis) => fromCallback(millis, (done) => udp.ask(peer, question, { edns }, done)))
      .reduce((first, next) =>
        Effect.catchTag(first, "DnsTransportError", (error) => (error.reason === "Timeout" ? next : Effect.fail(error)))
      )
  const overTcp = (edns: boolean) => fromCallback(limits.tcpMillis, (done) => tcpExchange(peer, question, { edns }, done))
  const complete = (edns: boolean) => Effect.flatMap(overUdp(edns), (reply) => (reply.truncated ? overTcp(edns) : Effect.succeed(reply)))
  // RFC 6891 §7: a server from before EDNS answers so; it gets the plain question.
  return Effect.flatMap(complete(true), (reply) =>
    reply.rcode === FORMERR || reply.rcode === NOTIMP ? complete(false) : Effect.succeed(reply)
  )
}

const fromCallback = (
  millis: number,
  start: (done: (result: Reply | Error) => void) => () => void
): Effect.Effect<Reply, DnsTransportError> =>
  Effect.callback<Reply, DnsTransportError>((resume) => {
    const stop = start((result) => {
      clearTimeout(timer)
      resume(
        result instanceof Error
          ? Effect.fail(new DnsTransportError({ reason: "Unreachable", detail: result.message }))
          : Effect.succeed(result)
      )
    })
    const timer = setTimeout(() => {
      stop()
      resume(Effect.fail(new DnsTransportError({ reason: "Timeout", detail: `no answer within ${millis} ms` })))
    }, millis)
    return Effect.sync(() => {
      clearTimeout(timer)
      stop()
    })
  })
