/**
 * What a command teaches, whether or not it leads to another state.
 *
 * Owns: turning a command's content into facts. Leaves to `decide.ts`: staleness, the way on, and what is asked next.
 */
import type { Command } from "./Command.ts"
import type { Event } from "./Event.ts"
import { type Circumstances, isProgress } from "./guards.ts"
import type { Certificate, Connection } from "./State.ts"
import type { Transition } from "./transitions.ts"

export const learn = (connection: Connection, command: Command, row: Transition, { now }: Circumstances): ReadonlyArray<Event> => {
  switch (command.name) {
    case "OwnershipObserved":
      return row.when === "proofSeenButHeld" && connection.error_code !== "HostnameConflict" ? [{ type: "ConflictMet" }] : []
    case "RecordsObserved": {
      const misses = command.verdict === "match" ? 0 : command.verdict === "mismatch" ? connection.misses + 1 : connection.misses
      const progress_at = connection.state === "propagating" && isProgress(connection, command.records) ? now : connection.progress_at
      return connection.state === "archived" ? [] : [{ type: "RecordsSeen", records: command.records, misses, progress_at }]
    }
    case "RecordsApplied":
      return learnWrite(connection, command)
    case "CertificateIssued":
      return learnCertificate(connection, command)
    case "CertificateFailed":
      return isNews(connection.certificate, command.certificate) ? [{ type: "CertificateRefused", certificate: command.certificate }] : []
    case "CertificateNoted":
      return [{ type: "CertificateMirrored", certificate: command.certificate, destroyed: command.destroyed }]
    case "UpdateRouting":
      return connection.claimed ? [{ type: "RoutingChanged" }] : []
    default:
      return []
  }
}

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

/** A renewal overtaken by a newer one is not taken back. */
const learnCertificate = (connection: Connection, command: Extract<Command, { name: "CertificateIssued" }>): ReadonlyArray<Event> => {
  const stored = connection.certificate_id === null ? null : connection.certificate.not_before
  if (stored !== null && command.certificate.not_before !== null && Date.parse(command.certificate.not_before) < Date.parse(stored))
    return []
  const served = connection.state === "live" || connection.state === "drifted"
  return [{ type: "CertificateStored", certificate_id: command.certificate_id, certificate: command.certificate, renewed: served }]
}

/** The certifier answers every reminder; only another failure, or another attempt's, is news. */
const isNews = (known: Certificate, told: Certificate): boolean =>
  known.status !== told.status || known.last_error !== told.last_error || known.next_attempt_at !== told.next_attempt_at
