/**
 * Opens a connection to an origin through the checked connect of libs/egress (E10, E11).
 *
 * Owns: the TLS policy towards origins, and naming what went wrong. An https origin is verified for the name in its URL; sessions are not resumed
 * across origins, because none are kept.
 */
import type { Socket } from "node:net"
import type { AddressPolicy } from "@connect-domain/egress/AddressPolicy.ts"
import { checkedConnect } from "@connect-domain/egress/checkedConnect.ts"
import type { EgressError } from "@connect-domain/egress/EgressError.ts"
import { makeOriginPolicy, type OwnPlaces } from "@connect-domain/egress/originPolicy.ts"
import type { Resolve } from "@connect-domain/egress/resolveName.ts"
import type { Failure } from "../exchange/Exchange.ts"
import { connectProxied } from "../policy/connectProxied.ts"
import type { Connect } from "./OriginPool.ts"

/** Codes are Node's and OpenSSL's own, so they are few; the bound holds whatever an origin makes them say. */
const maxCodes = 64

const count = (failures: Map<string, number>, { cause, reason }: EgressError): void => {
  const why = (cause as NodeJS.ErrnoException | undefined)?.code
  const code = why === undefined ? reason.toLowerCase() : `${reason.toLowerCase()}-${why}`
  const name = failures.has(code) || failures.size < maxCodes ? code : "other"
  failures.set(name, (failures.get(name) ?? 0) + 1)
}

const toFailure = (error: EgressError): Failure => {
  const code = `origin-connect-${error.reason.toLowerCase()}`
  return { status: error.reason === "Timeout" ? 504 : 502, code }
}

export interface ConnectOptions {
  readonly timeoutMillis: number
  /** Further roots that origins may chain to (PEM), besides the system's. */
  readonly ca?: ReadonlyArray<string>
  /** Default: hosts file and DNS. What they say is asked for anew, and checked, at each connection. */
  readonly resolve?: Resolve
  /** Gets counts of what failed: `unreachable-ECONNREFUSED`, `unresolved-ENOTFOUND`, `tls-CERT_HAS_EXPIRED`, `denied`, … */
  readonly failures: Map<string, number>
  /** Where the edge itself is: never an origin. */
  readonly own?: OwnPlaces
}

export const connectOrigin = (addresses: AddressPolicy, options: ConnectOptions): Connect => {
  const policy = makeOriginPolicy(addresses, options.own)
  return (origin, input, done) => {
    let abandoned = false
    const tls = {
      ALPNProtocols: ["http/1.1"],
      minVersion: "TLSv1.2" as const,
      ...(options.ca === undefined ? {} : { ca: [...options.ca] })
    }
    const { host, port, preface, secure } = origin
    const { resolve, timeoutMillis } = options
    const target = { host, port, timeoutMillis, ...(resolve === undefined ? {} : { resolve }), ...(secure ? { tls } : {}) }
    const connected = (error: EgressError | null, socket: Socket | null) => {
      if (error === null && socket !== null) {
        if (preface !== undefined) input.listen(socket)
        return done(socket)
      }
      count(options.failures, error!)
      const failure = toFailure(error!)
      setImmediate(() => abandoned || done(failure)) // a literal address is refused at once; nobody expects an answer that early
    }
    const giveUp =
      preface === undefined
        ? checkedConnect(policy, { ...target, onread: input.onread }, connected)
        : connectProxied(policy, { ...target, preface }, connected)
    return () => {
      abandoned = true
      giveUp()
    }
  }
}
