/**
 * What the machine wants said, in the words of the catalogue.
 *
 * Owns: the wire form of each reaction. Leaves to libs/connection: when; to the outbox: sending after the commit.
 */
import { judgedRecords, writtenRecords } from "@connect-domain/connection/certificateRecords.ts"
import type { Reaction } from "@connect-domain/connection/reactions.ts"
import { commitConnect } from "@connect-domain/messages/billing.ts"
import { ensureCertificate, releaseCertificate } from "@connect-domain/messages/certifier.ts"
import { applyChange, lookOwnership, lookRecords } from "@connect-domain/messages/connector.ts"
import { type EventDefinition, subjectOf, type WorkDefinition } from "@connect-domain/messages/definition.ts"
import { connectionEvent } from "@connect-domain/messages/events.ts"
import type { SealedCredential } from "@connect-domain/messages/record.ts"
import { codecOf } from "@connect-domain/nats/codec.ts"
import type { ConnectionRow } from "./ConnectionRow.ts"
import type { Draft, Headers } from "./Draft.ts"

const challengeTtl = 60

/** A row of the outbox: written with the statement that writes what it tells of. */
export interface OutboxRow {
  readonly id: string
  readonly subject: string
  readonly payload: unknown
  readonly headers: Headers
}
type CredentialsOf = (applicationId: string) => ReadonlyArray<SealedCredential>

export const toOutbox = (draft: Draft, credentialsOf: CredentialsOf): ReadonlyArray<OutboxRow> => [
  ...draft.reactions.flatMap(({ row, reaction, headers }) => toMessages(row, reaction, credentialsOf).map((row) => ({ ...row, headers }))),
  ...draft.events.map(({ event, headers }) => ({ ...message(connectionEvent, event, event.id), headers }))
]

const toMessages = (row: ConnectionRow, reaction: Reaction, credentialsOf: CredentialsOf): ReadonlyArray<Message> => {
  const { id: connection_id, hostname, attempt: version } = row
  switch (reaction.to) {
    case "observer": {
      if (reaction.look === "records") {
        return [message(lookRecords, { connection_id, version, hostname, records: judgedRecords(row) }, reaction.id)]
      }
      const { name, value } = row.challenge
      return [message(lookOwnership, { connection_id, version, hostname, name, value }, reaction.id)]
    }
    case "provider": {
      const { purpose } = reaction
      const { name, value } = row.challenge
      const records = purpose === "records" ? writtenRecords(row) : [{ host: name, type: "TXT" as const, value, ttl: challengeTtl }]
      const credentials = credentialsOf(row.application_id)
      return [message(applyChange, { connection_id, version, purpose, hostname, records, credentials, replace: true }, reaction.id)]
    }
    case "certifier": {
      const { tenant_id, environment } = row
      const claim = { connection_id, claim_id: connection_id, hostname }
      if (reaction.what === "release") return [message(releaseCertificate, claim, reaction.id)]
      const reason = reaction.reason === undefined ? {} : { reason: reaction.reason }
      return [message(ensureCertificate, { ...claim, tenant_id, environment, records: row.desired_records, ...reason }, reaction.id)]
    }
    // Not messages: rows of the registry, written in the same transaction and relayed by `Registry.ts`.
    case "registry":
    case "edges":
      return []
  }
}

/** The reservation that the gateway made for this create is used up. */
export const reservationCommitted = ({ id, tenant_id, created_at }: ConnectionRow, headers: Headers): OutboxRow => ({
  ...message(commitConnect, { tenant_id, connection_id: id, created_at: new Date(created_at).toISOString() }, `${id}.created`),
  headers
})

type Message = Omit<OutboxRow, "headers">

const message = <D extends WorkDefinition | EventDefinition>(definition: D, payload: D["payload"]["Type"], id: string): Message => ({
  id,
  subject: subjectOf(definition, payload as Readonly<Record<string, unknown>>),
  payload: codecOf(definition.payload).encodeJson(payload)
})
