/**
 * What a command teaches, whether or not it leads to another state.
 *
 * Owns: turning a command's content into facts. Leaves to `decide.ts`: staleness, the way on, and what is asked next.
 */
import type { Command, SeenRecord, Verdict } from "./Command.ts"
import { certificateRecordSeen, isEarlyFailure } from "./certificateRecords.ts"
import type { Event } from "./Event.ts"
import { type Circumstances, isProgress } from "./guards.ts"
import type { Certificate, Connection, ObservedRecord } from "./State.ts"
import type { Transition } from "./transitions.ts"

type Seen = Extract<Command, { readonly name: "RecordsObserved" }>

export const learn = (connection: Connection, command: Command, row: Transition, { now }: Circumstances): ReadonlyArray<Event> => {
  switch (command.name) {
    case "OwnershipObserved":
      return row.when === "proofSeenButHeld" && connection.error_code !== "HostnameConflict" ? [{ type: "ConflictMet" }] : []
    case "RecordsObserved": {
      const misses = connection.state === "live" ? countMiss(connection, command.verdict) : 0
      const progress_at = connection.state === "propagating" && isProgress(connection, command.records) ? now : connection.progress_at
      const records = besideDesired(connection, command.records)
      if (connection.state === "archived") return []
      return [{ type: "RecordsSeen", records, misses, progress_at }, ...wanted(connection, command, row)]
    }
    case "RecordsApplied":
      return learnWrite(connection, command)
    case "CertificateIssued":
      return learnCertificate(connection, command)
    case "ChallengeRemoved":
      return connection.challenge_written ? [{ type: "ChallengeGone" }] : []
    case "CertificateFailed":
      if (isOvertaken(connection, command.certificate)) return []
      if (!isNews(connection.certificate, command.certificate)) return []
      return isEarlyFailure(connection)
        ? [{ type: "CertificateMirrored", certificate: command.certificate, destroyed: false }]
        : [{ type: "CertificateRefused", certificate: command.certificate }]
    case "CertificateNoted":
      if (!command.destroyed && isOvertaken(connection, command.certificate)) return []
      return [{ type: "CertificateMirrored", certificate: command.certificate, destroyed: command.destroyed }]
    case "UpdateRouting":
      return connection.claimed ? [{ type: "RoutingChanged" }] : []
    default:
      return []
  }
}

/** A certificate record has come into sight before the others; or a served domain, whose certificate is in trouble, is right again. */
const wanted = (connection: Connection, { verdict, records }: Seen, row: Transition): ReadonlyArray<Event> => {
  const { claimed, certificate_id, certificate, attempt, observed_records, state } = connection
  if (!claimed) return []
  const asked = (why: "early" | "recovered"): ReadonlyArray<Event> => [{ type: "CertificateWanted", why, attempt }]
  const isNew = certificateRecordSeen(records) && !certificateRecordSeen(observed_records)
  if (isNew && certificate_id === null && row.to === "stay" && state !== "issuing_cert") return asked("early")
  const troubled = certificate.last_error !== undefined
  return state === "live" && connection.misses > 0 && verdict === "match" && troubled ? asked("recovered") : []
}

/** What is unknown neither confirms a miss nor clears it. */
const countMiss = ({ misses }: Connection, verdict: Verdict): number =>
  verdict === "match" ? 0 : verdict === "mismatch" ? misses + 1 : misses

const learnWrite = (connection: Connection, command: Extract<Command, { name: "RecordsApplied" }>): ReadonlyArray<Event> => {
  const answered: Event = {
    type: "WriteAnswered",
    purpose: command.purpose,
    provider: command.provider,
    error_code: command.failure?.code ?? null
  }
  const written = command.purpose === "records" && command.failure === null && connection.claimed
  return written ? [answered, { type: "RecordsWritten" }] : [answered]
}

const learnCertificate = (connection: Connection, command: Extract<Command, { name: "CertificateIssued" }>): ReadonlyArray<Event> => {
  if (isOvertaken(connection, command.certificate)) return []
  const served = connection.state === "live" || connection.state === "drifted"
  return [{ type: "CertificateStored", certificate_id: command.certificate_id, certificate: command.certificate, renewed: served }]
}

/** News of an order that ended, or of a certificate before the stored one, that arrives late. */
const isOvertaken = ({ certificate: stored, certificate_id }: Connection, told: Certificate): boolean => {
  if (certificate_id === null || stored.not_before === null) return false
  // Revoked is for ever: whatever says otherwise of the same certificate was sent before.
  if (stored.status === "revoked" && stored.serial === told.serial && told.status !== "revoked") return true
  // One that the caller brought may be older than ours, and ours that takes over from it too.
  if (told.issuer_origin === "imported" || stored.issuer_origin === "imported") return false
  return told.not_before === null ? told.status === "pending" : Date.parse(told.not_before) < Date.parse(stored.not_before)
}

/** Each desired record with what was seen of it; one that the look did not cover keeps what was seen before. */
const besideDesired = (connection: Connection, seen: ReadonlyArray<SeenRecord>): ReadonlyArray<ObservedRecord> =>
  connection.desired_records.flatMap((desired) => {
    const same = (other: { host: string; type: string; value: string }) =>
      other.host === desired.host && other.type === desired.type && other.value === desired.value
    const look = seen.find(same)
    if (look === undefined) return connection.observed_records.filter(same)
    const { propagated, observed_value, observed_at } = look
    return [{ ...desired, ttl: look.observed_ttl ?? desired.ttl, propagated, observed_value, observed_at }]
  })

/** The certifier answers every reminder; only another failure, or another attempt's, is news. */
const isNews = (known: Certificate, told: Certificate): boolean =>
  known.status !== told.status || known.last_error !== told.last_error || known.next_attempt_at !== told.next_attempt_at
