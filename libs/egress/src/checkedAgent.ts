/**
 * An undici agent for APIs and webhooks whose every new connection goes to an address that the policy lets through.
 *
 * Owns: the connector. Plain http reaches addresses on the allow-list only. Redirects are never followed: undici follows none by itself.
 * Leaves to `HttpClient.ts`: one request. Built against: SSRF by name, by literal, by redirect, and by rebinding between check and use.
 */
import { isIP } from "node:net"
import { Agent, buildConnector } from "undici"
import type { AddressPolicy } from "./AddressPolicy.ts"
import { denied, isOpen, makeLookup } from "./checkedLookup.ts"
import type { Resolve } from "./resolveName.ts"

export interface CheckedAgentOptions {
  readonly resolve?: Resolve
  /** PEM of further roots to trust. */
  readonly ca?: string
  /** Connections per origin; default 64. */
  readonly connections?: number
  /** Milliseconds for connecting and the handshake; default 5,000. */
  readonly connectTimeoutMillis?: number
}

/** Close it with `agent.close()`. */
export const makeCheckedAgent = (policy: AddressPolicy, options: CheckedAgentOptions = {}): Agent => {
  const build = (secure: boolean) =>
    buildConnector({
      lookup: makeLookup(policy, secure, options.resolve),
      timeout: options.connectTimeoutMillis ?? 5000,
      allowH2: false,
      ...(options.ca === undefined ? {} : { ca: options.ca })
    } as buildConnector.BuildOptions)
  const connectors = { secure: build(true), plain: build(false) }
  return new Agent({
    connections: options.connections ?? 64,
    keepAliveTimeout: 10_000,
    maxHeaderSize: 32 * 1024,
    connect: (target, done) => {
      const secure = target.protocol === "https:"
      const host = target.hostname.replace(/^\[|\]$/g, "")
      if (isIP(host) !== 0 && !isOpen(policy, secure, host)) return done(denied(host), null)
      connectors[secure ? "secure" : "plain"]({ ...target, hostname: host }, (...answer) => {
        const socket = answer[1]
        if (!socket) return done(answer[0] as Error, null) // a failure comes without its second argument, whatever the types say
        if (socket.remoteAddress !== undefined && isOpen(policy, secure, socket.remoteAddress)) return done(null, socket)
        socket.on("error", () => {}).destroy()
        done(denied(host), null)
      })
    }
  })
}
