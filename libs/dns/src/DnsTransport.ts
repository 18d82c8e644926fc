/**
 * One question to one server: bounded in time, bounded in number per server, by UDP and then TCP.
 *
 * Owns: attempts and their time limits, the fall-back to TCP and to plain DNS, how many questions a server gets at once. Leaves to
 * `Authorities` which server is asked, to `Resolver` what an answer means. Built against: a burst of ten thousand looks that drowns in its
 * own lost packets (measured: 12,000/s at 50 in flight, seconds of delay at 500), and a dead server that makes each of them wait.
 */
import { Cause, Clock, Context, Data, Effect, Exit, Layer, Semaphore } from "effect"
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
  /** A server that answered nothing for this long, though asked, is taken for dead … */
  readonly patienceMillis: number
  /** … and not asked for this long after each missed answer: whoever would wait for it is told at once. */
  readonly restMillis: number
}
export const defaultLimits: TransportLimits = {
  udpMillis: [700, 1300],
  tcpMillis: 2000,
  perServer: 64,
  patienceMillis: 5000,
  restMillis: 1500
}

/** `recursive`: for a resolver; an authoritative server is asked without. */
export type AskOptions = { readonly recursive?: boolean }
type Exchange = (peer: Peer, question: Question, options?: AskOptions) => Effect.Effect<Reply, DnsTransportError>
type ServerState = { readonly gate: Semaphore.Semaphore; users: number; aliveAt: number; restUntil: number }
const FORMERR = 1
const NOTIMP = 4

export class DnsTransport extends Context.Service<
  DnsTransport,
  {
    /** The reply with this id and question from this peer, whatever its response code. Safe to interrupt. */
    readonly exchange: Exchange
  }
>()("dns/DnsTransport") {
  static make(limits: TransportLimits = defaultLimits) {
    return Effect.map(
      Effect.acquireRelease(
        Effect.sync(() => new UdpExchange()),
        (udp) => Effect.sync(() => udp.close())
      ),
      (udp) => DnsTransport.of({ exchange: bounded(limits, (peer, question, options) => attempts(udp, limits, peer, question, options)) })
    )
  }
  static layerWith(limits: TransportLimits) {
    return Layer.effect(DnsTransport, DnsTransport.make(limits))
  }
  static readonly layer = Layer.effect(DnsTransport, DnsTransport.make())
}

const bounded = (limits: TransportLimits, ask: Exchange) => {
  const servers = new Map<string, ServerState>()
  return (peer: Peer, question: Question, options: AskOptions = {}): Effect.Effect<Reply, DnsTransportError> =>
    Effect.flatMap(Clock.currentTimeMillis, (asked) => {
      const key = `${peer.address} ${peer.port}`
      const state = servers.get(key) ?? { gate: Semaphore.makeUnsafe(limits.perServer), users: 0, aliveAt: asked, restUntil: 0 }
      servers.set(key, state)
      state.users++
      const once = Clock.currentTimeMillis.pipe(
        Effect.flatMap((now) => (now < state.restUntil ? Effect.fail(resting) : ask(peer, question, options))),
        Effect.onExit((exit) => Effect.map(Clock.currentTimeMillis, (now) => remember(state, exit, now, limits)))
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

const remember = (state: ServerState, exit: Exit.Exit<Reply, DnsTransportError>, now: number, limits: TransportLimits): void => {
  if (Exit.isSuccess(exit)) state.aliveAt = now
  const error = Exit.isFailure(exit) ? exit.cause.reasons.find(Cause.isFailReason)?.error : undefined
  if (error?.reason === "Timeout" && error !== resting && now - state.aliveAt >= limits.patienceMillis)
    state.restUntil = now + limits.restMillis
}

const resting = new DnsTransportError({ reason: "Timeout", detail: "no answer a moment ago" })

const attempts = (
  udp: UdpExchange,
  limits: TransportLimits,
  peer: Peer,
  question: Question,
  { recursive = false }: AskOptions = {}
): Effect.Effect<Reply, DnsTransportError> => {
  const overUdp = (edns: boolean) =>
    limits.udpMillis
      .map((millis) => fromCallback(millis, (done) => udp.ask(peer, question, { edns, recursive }, done)))
      .reduce((first, next) =>
        Effect.catchTag(first, "DnsTransportError", (error) => (error.reason === "Timeout" ? next : Effect.fail(error)))
      )
  const overTcp = (edns: boolean) => fromCallback(limits.tcpMillis, (done) => tcpExchange(peer, question, { edns, recursive }, done))
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
