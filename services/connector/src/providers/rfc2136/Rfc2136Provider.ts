/**
 * Any primary server that takes dynamic updates (RFC 2136) signed with TSIG (RFC 8945): BIND, Knot, PowerDNS.
 *
 * Owns: the four calls. Leaves the connection to `exchange.ts`, the message to `updateMessage.ts`. An update is all or nothing and carries
 * its own conditions, so nothing can come between reading and writing.
 */
import { type Change, conflictWith } from "@connect-domain/dns-provider/ChangePlan.ts"
import type { Reach } from "@connect-domain/dns-provider/Descriptor.ts"
import {
  AccessDenied,
  Conflict,
  type DnsProvider,
  DnsProviderError,
  type Operation,
  type Reason,
  Unavailable,
  Unsupported,
  ZoneNotFound
} from "@connect-domain/dns-provider/DnsProvider.ts"
import { isInZone, type RecordSet, sameValues, type Zone, zoneCandidates } from "@connect-domain/dns-provider/RecordSet.ts"
import { baseOf } from "@connect-domain/domain/Hostname.ts"
import { Effect } from "effect"
import type { Rfc2136Credential } from "./descriptor.ts"
import { type Session, withSession } from "./exchange.ts"
import { encodeQuestion, holdsZone, questionTypes, recordSets } from "./question.ts"
import { encodeTrial, encodeUpdate, UnwritableType } from "./updateMessage.ts"

const rcodeOf = (answer: Buffer): number => answer.readUInt16BE(2) & 15
const NOERROR = 0
const REFUSED = 5
/** YXDOMAIN, YXRRSET, NXRRSET: a prerequisite does not hold (§2.2); NXDOMAIN likewise when a name was expected. */
const unmet: ReadonlySet<number> = new Set([3, 6, 7, 8])
const NOTAUTH = 9
const NOTZONE = 10

export const makeRfc2136 = (credential: Rfc2136Credential, reach: Reach): (typeof DnsProvider)["Service"] => {
  const during = <A>(operation: Operation, use: (session: Session) => Effect.Effect<A, Reason>) =>
    Effect.mapError(
      withSession(credential, reach, use),
      (reason) =>
        new DnsProviderError({
          provider: "rfc2136",
          operation,
          zone: operation === "apply" && reason._tag === "Unavailable" ? "unknown" : "unchanged",
          reason
        })
    )
  const findZone = Effect.fnUntraced(function* (session: Session, hostname: string) {
    const candidates = zoneCandidates(hostname).filter((name) => credential.zone === undefined || name === credential.zone)
    for (const name of candidates) {
      const answer = yield* session.send((id) => encodeQuestion(id, name, "SOA"))
      if (rcodeOf(answer) === NOERROR && holdsZone(answer, name)) return { name, id: name }
    }
    return yield* Effect.fail(new ZoneNotFound({ hostname }))
  })
  return {
    findZone: (hostname) => during("findZone", (session) => findZone(session, hostname)),
    read: (_, names) => during("read", (session) => read(session, names)),
    apply: (zone, changes) => (changes.length === 0 ? Effect.void : during("apply", (session) => apply(session, zone, changes))),
    checkAccess: (hostname) =>
      during("checkAccess", (session) =>
        Effect.gen(function* () {
          const zone = yield* findZone(session, hostname)
          const name = `_connect-domain-access.${baseOf(hostname)}`
          const answer = yield* session.send((id) => encodeTrial(id, zone.name, name))
          if (rcodeOf(answer) !== NOERROR) return yield* Effect.fail(updateRefused(rcodeOf(answer), zone))
        })
      )
  }
}

/** ANY shows types that we would not think of; the single questions hold where a server answers ANY with less (RFC 8482). */
const read = (session: Session, names: ReadonlyArray<string>): Effect.Effect<ReadonlyArray<RecordSet>, Reason> =>
  Effect.map(
    Effect.forEach(
      [...new Set(names)].flatMap((name) => questionTypes.map((type) => ({ name, type }))),
      ({ name, type }) =>
        Effect.map(
          session.send((id) => encodeQuestion(id, name, type)),
          (answer) => ({ name, answer })
        ),
      { concurrency: 16 }
    ),
    (answers) => recordSets(answers)
  )

const apply = Effect.fnUntraced(function* (session: Session, zone: Zone, changes: ReadonlyArray<Change>) {
  const outside = changes.find((change) => !isInZone(change.name, zone.name))
  if (outside !== undefined) return yield* Effect.fail(new ZoneNotFound({ hostname: outside.name }))
  const names = changes.map((change) => change.name)
  const rcode = yield* update(session, zone, changes)
  if (unmet.has(rcode)) {
    // Perhaps it stands already, or in part: what is done is no conflict.
    const now = yield* read(session, names)
    const conflict = changes.map((change) => conflictWith(change, now)).find((found) => found !== undefined)
    if (conflict !== undefined) return yield* Effect.fail(conflict)
    const open = changes.filter((change) => !stands(change, now))
    const again = open.length === 0 ? NOERROR : yield* update(session, zone, open)
    if (unmet.has(again)) return yield* Effect.fail(new Conflict({ name: open[0]!.name, found: ["something that changes at this moment"] }))
    if (again !== NOERROR) return yield* Effect.fail(updateRefused(again, zone))
  } else if (rcode !== NOERROR) return yield* Effect.fail(updateRefused(rcode, zone))
  // §3.4.2.2: a server leaves out an addition that a CNAME excludes, and says nothing.
  const after = yield* read(session, names)
  const missing = changes.find((change) => !stands(change, after))
  if (missing === undefined) return
  const found = after.filter((set) => set.name === missing.name).flatMap((set) => set.values.map((value) => `${set.type} ${value}`))
  return yield* Effect.fail(new Conflict({ name: missing.name, found }))
})

const stands = (change: Change, sets: ReadonlyArray<RecordSet>): boolean =>
  sameValues(change.type, sets.find((set) => set.name === change.name && set.type === change.type)?.values ?? [], change.values)

const update = (session: Session, zone: Zone, changes: ReadonlyArray<Change>): Effect.Effect<number, Reason> =>
  Effect.flatMap(
    Effect.try({
      try: () => encodeUpdate(0, zone.name, changes),
      catch: (error) =>
        error instanceof UnwritableType
          ? new Unsupported({
              capability: error.message,
              remedy: `records of type ${error.message} can't be written through RFC 2136; set them by hand`
            })
          : new Unsupported({ capability: "content", remedy: "a record's value is not of its type's form" })
    }),
    (message) =>
      Effect.map(
        session.send((id) => {
          message.writeUInt16BE(id, 0)
          return message
        }),
        rcodeOf
      )
  )

const updateRefused = (rcode: number, zone: Zone): Reason => {
  if (rcode === REFUSED)
    return new AccessDenied({ remedy: `the server's update policy does not let this key change these names of ${zone.name}` })
  if (rcode === NOTAUTH || rcode === NOTZONE) return new ZoneNotFound({ hostname: zone.name })
  if (rcode === 4)
    return new Unsupported({ capability: "update", remedy: "this server takes no dynamic updates (RFC 2136); switch them on for the zone" })
  return new Unavailable({ detail: `the server answers the update with response code ${rcode}` })
}
