/**
 * Which messages a fact sends.
 *
 * Owns: who is told what, and the deterministic id that lets the receiver drop a repeated send. Leaves to the lifecycle service: the wire
 * form of each message, and sending it after the commit.
 */
import type { Event } from "./Event.ts"
import type { Connection, Question } from "./State.ts"

export type Reaction =
  /** To the connector's observer. */
  | { readonly to: "observer"; readonly look: "ownership" | "records"; readonly id: string }
  /** To the actor of the connection's DNS provider; `cleanup` removes the challenge. */
  | { readonly to: "provider"; readonly purpose: "challenge" | "records" | "cleanup"; readonly id: string }
  /** `reason`: the DNS changed for the better, so a back-off or a pause ends. */
  | { readonly to: "certifier"; readonly what: "ensure" | "release"; readonly id: string; readonly reason?: "records_changed" }
  /** The hostname's registry entry is out of date: written anew in the same transaction. */
  | { readonly to: "registry"; readonly what: "hold" | "release" }
  /** The entry stands; ask once more whether the edges have it. */
  | { readonly to: "edges" }

export const reactions = (event: Event, connection: Connection): ReadonlyArray<Reaction> => {
  const id = (what: string): string => `${connection.id}.${what}`
  switch (event.type) {
    case "QuestionAsked":
      if (event.by === "caller") return []
      return event.questions.map((question) => ({
        ...questionTo(question, id(`${question}.${event.attempt}`)),
        ...hurry(question, event, connection)
      }))
    case "CertificateWanted":
      return [
        {
          to: "certifier",
          what: "ensure",
          id: id(`${event.why}.${event.attempt}`),
          ...(event.why === "early" ? {} : { reason: "records_changed" })
        }
      ]
    case "OwnershipProven":
    case "CertificateStored":
    case "RoutingChanged":
      return [{ to: "registry", what: "hold" }]
    case "WentLive":
      return connection.challenge_written ? [questionTo("cleanup", id(`cleanup.${connection.attempt}`))] : []
    case "Ended":
      if (!event.claim_released) return []
      return [
        { to: "registry", what: "release" },
        { to: "certifier", what: "release", id: id("release") }
      ]
    default:
      return []
  }
}

/** On the way into the state all records are right, which they were not when it failed. */
const hurry = (question: Question, { step }: { readonly step: number }, { certificate }: Connection) =>
  question === "certificate" && step === 1 && certificate.last_error !== undefined ? { reason: "records_changed" as const } : {}

const questionTo = (question: Question, id: string): Reaction => {
  switch (question) {
    case "ownership":
    case "records":
      return { to: "observer", look: question, id }
    case "challenge":
    case "cleanup":
      return { to: "provider", purpose: question, id }
    case "write":
      return { to: "provider", purpose: "records", id }
    case "certificate":
      return { to: "certifier", what: "ensure", id }
    case "edges":
      return { to: "edges" }
  }
}
