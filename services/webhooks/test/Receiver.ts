/** A vendor's server for tests: keeps what it receives and answers as it is told. */
import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { Effect, Latch } from "effect"

export interface Received {
  readonly headers: IncomingHttpHeaders
  readonly body: string
  readonly path: string
}

export type Behaviour = (response: ServerResponse, request: Received) => void

export const status =
  (code: number, headers: Record<string, string> = {}): Behaviour =>
  (response) =>
    response.writeHead(code, headers).end()

export const startReceiver = (first: Behaviour = status(200)) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const received: Array<Received> = []
      const state = { behaviour: first }
      const arrived = Latch.makeUnsafe(false)
      const server = createServer((request, response) => {
        const chunks: Array<Buffer> = []
        request.on("data", (chunk: Buffer) => chunks.push(chunk))
        request.on("end", () => {
          const one = { headers: request.headers, body: Buffer.concat(chunks).toString("utf8"), path: request.url ?? "" }
          received.push(one)
          state.behaviour(response, one)
          arrived.openUnsafe()
        })
      })
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`
      /** Waits until `count` requests were received in all. */
      const until = (count: number): Effect.Effect<ReadonlyArray<Received>> =>
        Effect.suspend(() => {
          if (received.length >= count) return Effect.succeed(received)
          arrived.closeUnsafe()
          return Effect.andThen(Latch.await(arrived), until(count))
        })
      const behave = (behaviour: Behaviour) => {
        state.behaviour = behaviour
      }
      return { url, received, until, server, behave }
    }),
    ({ server }) =>
      Effect.promise(() => {
        server.closeAllConnections()
        return new Promise<void>((resolve) => server.close(() => resolve()))
      })
  )
