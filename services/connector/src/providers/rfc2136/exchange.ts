/**
 * Signed messages to the primary server over one TCP connection, each answer verified.
 *
 * Owns: framing, ids, signatures, time limits, and which of the six reasons a failure is. Leaves the meaning of a response code to the
 * caller where it depends on the question.
 */
import { randomInt } from "node:crypto"
import type { Socket } from "node:net"
import type { Reach } from "@connect-domain/dns-provider/Descriptor.ts"
import { AccessDenied, type Reason, Unavailable } from "@connect-domain/dns-provider/DnsProvider.ts"
import { Effect } from "effect"
import type { Rfc2136Credential } from "./descriptor.ts"
import { sign, verify } from "./tsig.ts"

export type Session = {
  /** Sends what `encode` makes of an id; the answer's bytes once its signature holds. */
  readonly send: (encode: (id: number) => Buffer) => Effect.Effect<Buffer, Reason>
}

const answerMillis = 5_000
const refusals: Readonly<Record<number, Reason>> = {
  16: new AccessDenied({ remedy: "the server refuses the TSIG signature: check tsig_secret and algorithm" }),
  17: new AccessDenied({ remedy: "the server does not know the TSIG key: check tsig_name and algorithm" }),
  18: new Unavailable({ detail: "the server's clock and ours differ by more than five minutes" })
}

/** Opens one connection, for as long as `use` runs. */
export const withSession = <A, E>(
  credential: Rfc2136Credential,
  reach: Reach,
  use: (session: Session) => Effect.Effect<A, E>
): Effect.Effect<A, E | Reason> =>
  Effect.scoped(
    Effect.flatMap(
      Effect.mapError(
        reach.connect(credential.server, credential.port),
        (error): Reason =>
          error.reason === "Denied"
            ? new AccessDenied({ remedy: "the server's address is not reachable from this service by policy; use a public address" })
            : new Unavailable({ detail: error.message })
      ),
      (socket) => use(makeSession(socket, credential))
    )
  )

const makeSession = (socket: Socket, credential: Rfc2136Credential): Session => {
  const waiting = new Map<number, (answer: Buffer | Error) => void>()
  let held = Buffer.alloc(0)
  let broken: Error | undefined
  const fail = (error: Error) => {
    broken = error
    for (const done of [...waiting.values()]) done(error)
  }
  socket.on("data", (chunk) => {
    held = Buffer.concat([held, chunk])
    while (held.length >= 2 && held.length >= 2 + held.readUInt16BE(0)) {
      const answer = Buffer.from(held.subarray(2, 2 + held.readUInt16BE(0)))
      held = held.subarray(2 + answer.length)
      if (answer.length >= 12) waiting.get(answer.readUInt16BE(0))?.(answer)
    }
  })
  socket.on("error", fail)
  socket.on("close", () => fail(new Error("the server closed the connection")))

  const raw = (id: number, message: Buffer) =>
    Effect.callback<Buffer, Reason>((resume) => {
      const settle = (result: Buffer | Error) => {
        clearTimeout(timer)
        waiting.delete(id)
        resume(result instanceof Error ? Effect.fail(new Unavailable({ detail: result.message })) : Effect.succeed(result))
      }
      const timer = setTimeout(() => settle(new Error(`no answer within ${answerMillis} ms`)), answerMillis)
      if (broken !== undefined) return settle(broken)
      waiting.set(id, settle)
      const length = Buffer.alloc(2)
      length.writeUInt16BE(message.length)
      socket.write(Buffer.concat([length, message]))
    })

  return {
    send: (encode) =>
      Effect.suspend(() => {
        let id = randomInt(65_536)
        while (waiting.has(id)) id = (id + 1) & 0xffff
        const request = sign(encode(id), credential.key, Math.floor(Date.now() / 1000))
        return Effect.flatMap(raw(id, request.message), (answer) => {
          const verified = verify(answer, credential.key, request.mac, Math.floor(Date.now() / 1000))
          if (verified.kind === "valid") return Effect.succeed(answer)
          const reason = verified.kind === "refused" ? refusals[verified.error] : undefined
          return Effect.fail(
            reason ??
              new AccessDenied({
                remedy: "the server's answer is not signed with the TSIG key: the server does not know it, or something stands between"
              })
          )
        })
      })
  }
}
