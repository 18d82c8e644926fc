/**
 * Where an origin may be, besides its address: not at a port of another protocol, and not at the edge itself (E10).
 *
 * Owns: both refusals; no allow-list lifts them. Leaves to `AddressPolicy.ts`: addresses. A circle that leads over other machines is not seen
 * here; it ends by its `CDN-Loop` header.
 */
import { type AddressPolicy, parseNetwork, reaches } from "./AddressPolicy.ts"
import { isBadPort } from "./badPorts.ts"

/** The edge, as clients reach it. */
export interface OwnPlaces {
  readonly addresses: ReadonlyArray<string>
  readonly ports: ReadonlyArray<number>
}

export const makeOriginPolicy = (policy: AddressPolicy, own: OwnPlaces = { addresses: [], ports: [] }): AddressPolicy => {
  const [networks, ports] = [own.addresses.map((address) => parseNetwork(address)!), new Set(own.ports)]
  const isOwn = (address: string, port: number) => ports.has(port) && reaches(networks, address)
  return {
    check: (address, port) => (port !== undefined && (isBadPort(port) || isOwn(address, port)) ? "denied" : policy.check(address, port))
  }
}
