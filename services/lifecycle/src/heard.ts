/**
 * What other services tell a connection, as commands of the machine.
 *
 * Owns: the translation, and which consumer brings what. Leaves to the connection actor: dropping what was heard before. A message about a
 * connection that does not exist is done with: it was sent for a create that was refused, or by hand.
 */
import type { Command } from "@connect-domain/connection/Command.ts"
import {
  applicationChanged,
  certificateChanged,
  ownershipObserved,
  recordsApplied,
  recordsObserved
} from "@connect-domain/messages/lifecycle.ts"
import type { RecordsLook } from "@connect-domain/messages/record.ts"
import { handle, type MessageMeta, Work } from "@connect-domain/nats/Work.ts"
import { Effect } from "effect"
import { Applications } from "./Applications.ts"
import { ConnectionActor } from "./ConnectionActor.ts"
import type { ConnectionRow } from "./ConnectionRow.ts"
import { makeOfferLasting } from "./offerLasting.ts"

/** PostgreSQL's text holds every character but this one; a TXT record may hold it. */
const storable = (text: string | null): string | null => text?.replaceAll("\0", "\uFFFD") ?? null

export const heardRecords = (version: number, look: RecordsLook): Command => ({
  name: "RecordsObserved",
  version,
  verdict: look.verdict,
  records: look.records.map(({ host, type, value, verdict, observed_value, observed_ttl }) => ({
    host,
    type,
    value,
    propagated: verdict === "match",
    observed_value: storable(observed_value),
    observed_ttl,
    observed_at: look.looked_at
  }))
})

type Applied = typeof recordsApplied.payload.Type

/** Undefined: nothing to tell. A challenge that could not be removed for now is asked to be removed again at the next look. */
const heardWrite = ({ version, purpose, provider, failure }: Applied): Command | undefined => {
  if (purpose !== "cleanup") return { name: "RecordsApplied", version, purpose, provider, failure }
  return failure?.code === "unavailable" || failure?.code === "rate_limited" ? undefined : { name: "ChallengeRemoved" }
}

type Change = typeof certificateChanged.payload.Type

const heardCertificate = ({ change, claim_id, certificate, certificate_id }: Change): Command => {
  if ((change === "issued" || change === "renewed") && certificate_id !== null) {
    return { name: "CertificateIssued", claim_id, certificate_id, certificate }
  }
  if (change === "failed") return { name: "CertificateFailed", claim_id, certificate }
  return { name: "CertificateNoted", claim_id, certificate, destroyed: change === "destroyed" }
}

/** Answers that come at the same time share transactions, so many may be under way. */
const concurrency = 256

export const hear = Effect.gen(function* () {
  const work = yield* Work
  const actor = yield* ConnectionActor
  const applications = yield* Applications
  const offerLasting = yield* makeOfferLasting

  /** A look's answer closes its question and needs no `meta`: remembering every look at a million domains would be the largest table. */
  const tell = (id: string, command: Command, meta?: MessageMeta) =>
    actor.tell({ id, command, ...(meta === undefined ? {} : { messageId: meta.id }) }).pipe(
      Effect.map(({ row }): ConnectionRow | undefined => row),
      Effect.catchTag("CallError", (refusal) => Effect.as(Effect.logDebug(`${command.name} was refused: ${refusal.message}`), undefined)),
      Effect.annotateLogs("connection_id", id)
    )

  /** Whoever never asks for a look is offered the lasting record with his next certificate. */
  const offered = (row: ConnectionRow | undefined) =>
    row === undefined
      ? Effect.void
      : offerLasting(row).pipe(
          Effect.catch((error) => Effect.logInfo("a lasting record is offered another time", { error: error.message })),
          Effect.annotateLogs("connection_id", row.id)
        )

  yield* work.consume(
    "lifecycle_connection",
    [
      handle(ownershipObserved, ({ connection_id, version, look }) =>
        tell(connection_id, { name: "OwnershipObserved", version, verdict: look.verdict })
      ),
      handle(recordsObserved, ({ connection_id, version, look }) => tell(connection_id, heardRecords(version, look))),
      handle(recordsApplied, (applied, meta) => {
        const command = heardWrite(applied)
        return command === undefined ? Effect.void : tell(applied.connection_id, command, meta)
      }),
      handle(certificateChanged, (change, meta) => {
        const command = heardCertificate(change)
        const told = tell(change.connection_id, command, meta)
        // Its CA was seen by now, if it was not before.
        return command.name === "CertificateIssued" ? Effect.flatMap(told, offered) : told
      })
    ],
    { concurrency }
  )

  yield* work.consume("lifecycle_application", [handle(applicationChanged, ({ application_id }) => applications.publish([application_id]))])
})
