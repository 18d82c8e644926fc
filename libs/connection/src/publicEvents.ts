/**
 * What integrators see of a fact: in webhooks, in the event log, on their NATS subjects.
 *
 * Owns: which facts are public and what their data says. Leaves to libs/messages: names and envelope; to the lifecycle service: ids,
 * sequence and time. Going live is one fact and two events, so that neither can be there without the other.
 */
import { leftoverRecords } from "./certificateRecords.ts"
import type { Event } from "./Event.ts"
import type { Connection } from "./State.ts"

export interface PublicEvent {
  readonly type:
    | "domain.added"
    | "domain.verified"
    | "ssl.issued"
    | "domain.flow.completed"
    | "domain.drift"
    | "domain.recovered"
    | "domain.stalled"
    | "domain.failed"
    | "domain.archived"
    | "ssl.renewed"
    | "ssl.failed"
  readonly data: Readonly<Record<string, unknown>>
}

/** `connection` is the row after the fact. */
export const publicEvents = (event: Event, connection: Connection): ReadonlyArray<PublicEvent> => {
  const { hostname, setup_type, provider } = connection
  switch (event.type) {
    case "OwnershipProven":
      return [{ type: "domain.verified", data: { hostname, setup_type } }]
    case "RecordsWritten":
      return [{ type: "domain.added", data: { hostname, provider, records: connection.desired_records } }]
    case "WentLive":
      return [
        { type: "ssl.issued", data: { hostname, certificate: connection.certificate } },
        { type: "domain.flow.completed", data: { hostname, setup_type, provider } }
      ]
    case "Recovered":
      return [{ type: "domain.recovered", data: { hostname } }]
    case "CertificateStored":
      return event.renewed ? [{ type: "ssl.renewed", data: { hostname, certificate: connection.certificate } }] : []
    case "CertificateRefused":
      return [{ type: "ssl.failed", data: { hostname, certificate: connection.certificate } }]
    case "StateEntered":
      if (event.state === "drifted") return [{ type: "domain.drift", data: { hostname, records: connection.observed_records } }]
      if (event.state === "stalled") return [{ type: "domain.stalled", data: { hostname, state: event.interrupted } }]
      return []
    case "Ended":
      return connection.state === "failed"
        ? [{ type: "domain.failed", data: { hostname, error_code: event.error_code, leftover_records: leftoverRecords(connection) } }]
        : [{ type: "domain.archived", data: { hostname, leftover_records: leftoverRecords(connection) } }]
    default:
      return []
  }
}
