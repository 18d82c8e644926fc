/** A connection and a world to tell it things, for tests. Owns nothing that runs in a service. */
import type { Command, SeenRecord } from "./Command.ts"
import { type Decision, decide } from "./decide.ts"
import type { Event } from "./Event.ts"
import type { Circumstances } from "./guards.ts"
import { newConnection } from "./newConnection.ts"
import { type Reaction, reactions } from "./reactions.ts"
import type { Connection } from "./State.ts"
import { defaultTiming } from "./schedule.ts"

export const start = Date.UTC(2026, 0, 1)

export const circumstancesAt = (now: number, held_by_another = false, random = 0.5): Circumstances => ({
  now,
  random,
  held_by_another,
  timing: defaultTiming
})

export const aConnection = (given: Partial<Connection> = {}): Connection => ({
  ...newConnection({
    id: "c1",
    hostname: "shop.example.com",
    setup_type: "manual",
    automatic: false,
    desired_records: [{ host: "shop.example.com", type: "CNAME", value: "edge.example.net", ttl: 300 }],
    now: start
  }),
  ...given
})

export const born = (given: Partial<Connection> = {}): Decision => decide(aConnection(given), { name: "Proceed" }, circumstancesAt(start))

export const seen = (connection: Connection, propagated: boolean): ReadonlyArray<SeenRecord> =>
  connection.desired_records.map(({ host, type, value }) => ({
    host,
    type,
    value,
    propagated,
    observed_value: propagated ? value : null,
    observed_ttl: null,
    observed_at: new Date(start).toISOString()
  }))

export const certificate = (serial: string, notBefore = start) => ({
  status: "issued" as const,
  not_before: new Date(notBefore).toISOString(),
  not_after: new Date(notBefore + 90 * 86_400_000).toISOString(),
  ca: "test",
  serial
})

/** What a friendly world answers to a connection's messages. */
export const answer = (connection: Connection, reaction: Reaction): Command | undefined => {
  const version = connection.attempt
  switch (reaction.to) {
    case "observer":
      return reaction.look === "ownership"
        ? { name: "OwnershipObserved", version, verdict: "match" }
        : { name: "RecordsObserved", version, verdict: "match", records: seen(connection, true) }
    case "provider":
      if (reaction.purpose === "cleanup") return { name: "ChallengeRemoved" }
      return { name: "RecordsApplied", version, purpose: reaction.purpose, provider: "memory", failure: null }
    case "certifier":
      if (reaction.what === "release") return undefined
      return { name: "CertificateIssued", claim_id: connection.id, certificate_id: "cert1", certificate: certificate("01") }
    case "edges":
      return connection.certificate_id === null ? undefined : { name: "EdgesReported", certificate_id: connection.certificate_id }
    case "registry":
      return undefined
  }
}

export const reactionsTo = (connection: Connection, events: ReadonlyArray<Event>): ReadonlyArray<Reaction> =>
  events.flatMap((event) => reactions(event, connection))
