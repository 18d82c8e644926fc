/**
 * Folds one fact into the row. Owns: which column each fact changes. Decides nothing.
 */
import type { Event } from "./Event.ts"
import type { Connection } from "./State.ts"

export const evolve = (connection: Connection, event: Event): Connection => {
  switch (event.type) {
    case "StateEntered":
      return {
        ...connection,
        state: event.state,
        interrupted: event.interrupted,
        entered_at: event.at,
        // Being stalled is the opposite of progress: `failed` counts on from the same instant.
        progress_at: event.state === "stalled" ? connection.progress_at : event.at,
        next_check_at: null,
        step: 0,
        misses: 0
      }
    case "QuestionAsked":
      return {
        ...connection,
        attempt: event.attempt,
        step: event.step,
        next_check_at: event.next_check_at,
        open_write: event.questions.some((question) => question === "write" || question === "challenge")
          ? event.attempt
          : connection.open_write
      }
    case "LookScheduled":
      // The question is closed: the same answer again is stale.
      return { ...connection, attempt: connection.attempt + 1, next_check_at: event.next_check_at }
    case "OwnershipProven":
      return { ...connection, claimed: true, error_code: null }
    case "ConflictMet":
      return { ...connection, error_code: "HostnameConflict" }
    case "RecordsSeen":
      return { ...connection, observed_records: event.records, misses: event.misses, progress_at: event.progress_at }
    case "WriteAnswered":
      return {
        ...connection,
        open_write: null,
        provider: event.provider ?? connection.provider,
        error_code: event.error_code,
        step: event.error_code === null ? 0 : connection.step,
        challenge_written: connection.challenge_written || (event.purpose === "challenge" && event.error_code === null)
      }
    case "RecordsWritten":
      return connection
    case "ChallengeGone":
      return { ...connection, challenge_written: false }
    case "CertificateStored":
      return { ...connection, certificate: event.certificate, certificate_id: event.certificate_id, step: 0 }
    case "CertificateRefused":
      return { ...connection, certificate: event.certificate }
    case "CertificateMirrored":
      return { ...connection, certificate: event.certificate, certificate_id: event.destroyed ? null : connection.certificate_id }
    case "WentLive":
    case "Recovered":
      return { ...connection, error_code: null }
    case "RoutingChanged":
    case "CertificateWanted":
      return connection
    case "Ended":
      return { ...connection, claimed: false, open_write: null, next_check_at: null, error_code: event.error_code }
  }
}

export const evolveAll = (connection: Connection, events: ReadonlyArray<Event>): Connection => events.reduce(evolve, connection)
