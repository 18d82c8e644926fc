/**
 * Waits for the PROXY header on a listener that requires one (requirement E7).
 *
 * Owns: who is trusted, the time limit, handing on the bytes behind the header. Leaves to `proxyProtocol.ts`: its form.
 */
import type { Socket } from "node:net"
import { type AddressPolicy, makeAddressPolicy, type Network } from "@connect-domain/egress/AddressPolicy.ts"
import type { Deadlines } from "../Deadlines.ts"
import { readProxyHeader } from "./proxyProtocol.ts"

export class TrustedProxies {
  private readonly policy: AddressPolicy

  constructor(networks: ReadonlyArray<Network>) {
    this.policy = makeAddressPolicy(networks)
  }

  trusts(address: string): boolean {
    return this.policy.check(address) === "opened"
  }
}

export interface WaitOptions {
  readonly deadlines: Deadlines
  readonly millis: number
}

/** Calls `next` once with the client's address ("": the balancer itself) and what came behind the header; closes the connection otherwise. */
export const readProxied = (socket: Socket, options: WaitOptions, next: (address: string, first: Buffer | undefined) => void): void => {
  let held: Buffer = Buffer.alloc(0)
  const watched = { place: 0, deadline: options.deadlines.now + options.millis, onDeadline: () => end() }
  const end = () => {
    stop()
    socket.destroy()
  }
  const stop = () => {
    options.deadlines.forget(watched)
    socket.off("readable", onBytes).off("end", end).off("close", stop)
  }
  const onBytes = () => {
    const bytes: Buffer | null = socket.read()
    if (bytes === null) return
    held = Buffer.concat([held, bytes])
    const header = readProxyHeader(held)
    if (header === "more") return
    if (header === "bad") {
      end()
      return
    }
    stop()
    next(header.address, held.length > header.length ? held.subarray(header.length) : undefined)
  }
  options.deadlines.watch(watched)
  socket.on("readable", onBytes).once("end", end).once("close", stop)
}
