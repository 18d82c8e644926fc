/**
 * Names to addresses, without a thread: the hosts file first, then the name servers of `/etc/resolv.conf`, asked by this process (c-ares).
 *
 * Owns: both families at once, one look-up for all who want a name at the same moment, limits in time. Leaves to `checkedLookup.ts`: which
 * of the addresses may be used. Built against: getaddrinfo, which holds one of the few threads of libuv's pool until the slowest name server
 * has timed out, so that the dead servers of one tenant's origin end new connections to everybody's.
 *
 * Each look-up has a `Resolver` of its own: no server's failures, measured delays or source port pass from one tenant's name to another's. A
 * look-up is some memory and a socket for seven seconds at most, and there is one per name; who may have how many requests under way is the
 * caller's to limit (E8), and a cap on look-ups of all would be the very thing that one tenant could fill. Nothing is remembered: each new connection asks anew (E10).
 *
 * Names of origins are absolute: `search` and `ndots` are not applied. Sources of the system's besides files and DNS (mDNS, LDAP, NIS) are not
 * asked; a resolver that knows them, such as systemd-resolved or Docker's, is reached by its entry in `/etc/resolv.conf`.
 */
import { Resolver } from "node:dns"
import { HostsFile } from "./HostsFile.ts"

export interface Found {
  readonly address: string
  readonly family: number
}

type Done = (error: Error | null, found: ReadonlyArray<Found>) => void

/** All addresses of a name. */
export type Resolve = (hostname: string, done: Done) => void

export interface ResolveOptions {
  /** `address:port`; default: those of `/etc/resolv.conf`. */
  readonly servers?: ReadonlyArray<string>
  readonly hostsFile?: string
}

/** Rounds over the servers, of one, two and four seconds: a lost datagram costs a second, and a connection has five. */
const rounds = { timeout: 1000, tries: 3 }
const longestMillis = 7000
/** How long addresses of one family wait for the other (RFC 8305 §3): there are servers that never answer for AAAA. */
const otherFamilyMillis = 500

const failed = (code: string): NodeJS.ErrnoException => Object.assign(new Error(code), { code })

const lookUp = (name: string, servers: ReadonlyArray<string> | undefined, done: Done): void => {
  const resolver = new Resolver(rounds)
  if (servers !== undefined) resolver.setServers(servers)
  const found: { 4?: ReadonlyArray<Found>; 6?: ReadonlyArray<Found> } = {}
  let failure = failed("ENODATA")
  let over = false
  const finish = () => {
    clearTimeout(timer)
    if (over) return // the name servers' time and ours can be up in one turn
    over = true
    const all = [...(found[6] ?? []), ...(found[4] ?? [])]
    done(all.length > 0 ? null : failure, all)
  }
  const stop = () => {
    resolver.cancel()
    if (failure.code === "ENODATA") failure = failed("ETIMEOUT")
    finish()
  }
  let timer = setTimeout(stop, longestMillis)
  const take = (family: 4 | 6) => (error: NodeJS.ErrnoException | null, addresses: ReadonlyArray<string> | undefined) => {
    if (error?.code === "ECANCELLED") return
    if (error !== null && failure.code === "ENODATA") failure = error
    found[family] = (addresses ?? []).map((address) => ({ address, family }))
    if (found[4] !== undefined && found[6] !== undefined) return finish()
    if (found[family].length === 0) return
    clearTimeout(timer)
    timer = setTimeout(stop, otherFamilyMillis)
  }
  resolver.resolve6(name, take(6))
  resolver.resolve4(name, take(4))
}

export const makeResolve = ({ hostsFile = "/etc/hosts", servers }: ResolveOptions = {}): Resolve => {
  const hosts = new HostsFile(hostsFile)
  const underWay = new Map<string, Array<Done>>()
  return (hostname, done) => {
    const name = hostname.toLowerCase().replace(/\.$/, "")
    const known = hosts.find(name)
    if (known !== undefined) return done(null, known)
    const waiting = underWay.get(name)
    if (waiting !== undefined) return void waiting.push(done)
    const all = [done]
    underWay.set(name, all)
    lookUp(name, servers, (error, found) => {
      underWay.delete(name)
      for (const each of all) each(error, found)
    })
  }
}

/** As this machine is set up. */
export const resolveName = makeResolve()
