/**
 * The life of a connection, as a table.
 *
 * Owns: what each command does in each state, and why; its test proves that every pair was decided on purpose. Leaves to `guards.ts`:
 * establishing a condition; to `decide.ts`: what is learnt from a command and what is asked next.
 * Built against: two replicas acting on one connection, late answers from a connector, and rules that hide in handlers.
 *
 * Read a row as: in `from`, on `command`, if `when` holds, go to `to`. The first row that fits is taken.
 * `stay`: no other state, though something may be learnt. `interrupted`: back to the state that `stalled` interrupted, and the command again there.
 * `refuse`: the caller is told why.
 */
import { type CommandName, commandNames } from "./Command.ts"
import type { Guard } from "./guards.ts"
import { type StateName, states } from "./State.ts"

export interface Transition {
  readonly from: ReadonlyArray<StateName>
  readonly command: CommandName
  /** Absent means always. */
  readonly when?: Guard
  readonly to: StateName | "stay" | "interrupted" | "refuse"
  readonly why: string
}

const unproven: ReadonlyArray<StateName> = ["created", "pending_ownership", "verifying"]
const ended: ReadonlyArray<StateName> = ["failed", "archived"]
const started: ReadonlyArray<StateName> = states.filter((state) => state !== "created" && state !== "archived")
const others = (...some: ReadonlyArray<StateName>): ReadonlyArray<StateName> => states.filter((state) => !some.includes(state))

// biome-ignore format: a table is read by its lines
export const transitions: ReadonlyArray<Transition> = [
  // The steps that need nobody.
  { from: ["created"], command: "Proceed", when: "automatic", to: "verifying", why: "we publish the challenge ourselves" },
  { from: ["created"], command: "Proceed", to: "pending_ownership", why: "the customer has to publish the challenge" },
  { from: ["verified"], command: "Proceed", when: "automatic", to: "dns_writing",
    why: "a credential that can see the zone writes the plan" },
  { from: ["verified"], command: "Proceed", to: "propagating", why: "the customer adds the records, or has done so already" },
  { from: others("created", "verified"), command: "Proceed", to: "stay", why: "every other state waits for somebody" },

  // Alarms.
  { from: ["pending_ownership", "verifying", "dns_writing", "propagating", "issuing_cert"], command: "DeadlineReached", when: "idle", to: "stalled",
    why: "24 h without progress: looked at hourly from now on" },
  { from: ["pending_ownership", "verifying", "dns_writing", "propagating", "issuing_cert", "live"], command: "DeadlineReached", to: "stay",
    why: "time for the next look, or an answer got lost: ask again" },
  { from: ["drifted"], command: "DeadlineReached", when: "departed", to: "failed", why: "the customer has left; the name is free again" },
  { from: ["drifted"], command: "DeadlineReached", to: "stay", why: "still served; look again" },
  { from: ["stalled"], command: "DeadlineReached", when: "overdue", to: "failed", why: "7 days without ownership or propagation" },
  { from: ["stalled"], command: "DeadlineReached", to: "stay", why: "the hourly look at what the state it left waits for" },
  { from: ["created", "verified"], command: "DeadlineReached", to: "stay", why: "never committed, so no alarm can be set in it" },
  { from: ended, command: "DeadlineReached", to: "stay", why: "an alarm that was under way when it ended" },

  // A caller looks himself.
  { from: states, command: "StartLook", to: "stay",
    why: "his look replaces ours if it is the one we wait for; a look changes nothing else" },

  // Ownership.
  { from: ["pending_ownership"], command: "OwnershipObserved", when: "proofSeenButHeld", to: "stay",
    why: "somebody else proved it first and holds the claim; looked at on, he may leave" },
  { from: ["verifying"], command: "OwnershipObserved", when: "proofSeenButHeld", to: "pending_ownership",
    why: "proven too late, and nothing is left that we could write" },
  { from: ["pending_ownership", "verifying"], command: "OwnershipObserved", when: "proofSeen", to: "verified",
    why: "every server that answered showed the exact value; the claim is taken in the same transaction" },
  { from: ["pending_ownership"], command: "OwnershipObserved", to: "stay",
    why: "not there yet, or unknown; the next look follows the cadence" },
  { from: ["verifying"], command: "OwnershipObserved", to: "stay", why: "our own write has not reached every server yet" },
  { from: ["stalled"], command: "OwnershipObserved", when: "proofSeen", to: "interrupted", why: "the proof has come: carry on where it stopped" },
  { from: others("pending_ownership", "verifying"), command: "OwnershipObserved", to: "stay",
    why: "not there yet, not asked, or proven already" },

  // Writes through a credential.
  { from: ["verifying"], command: "RecordsApplied", when: "writeRefused", to: "pending_ownership",
    why: "the provider refuses for good: the customer can publish the challenge by hand" },
  { from: ["verifying"], command: "RecordsApplied", to: "stay", why: "written: look for it; or a temporary failure: write again later" },
  { from: ["dns_writing"], command: "RecordsApplied", when: "writeDone", to: "propagating",
    why: "written: wait until the zone's servers show it" },
  { from: ["dns_writing"], command: "RecordsApplied", when: "writeRefused", to: "propagating",
    why: "the provider refuses for good: the customer can add the records by hand" },
  { from: ["dns_writing"], command: "RecordsApplied", to: "stay", why: "a temporary failure: write again later" },
  { from: ["propagating", "issuing_cert", "live", "drifted"], command: "RecordsApplied", to: "stay",
    why: "a re-write that a caller asked for" },
  { from: ["stalled"], command: "RecordsApplied", when: "writeDone", to: "interrupted", why: "the provider is back: carry on where it stopped" },
  { from: ["stalled"], command: "RecordsApplied", to: "stay", why: "still refused" },
  { from: ["created", "pending_ownership", "verified", ...ended], command: "RecordsApplied", to: "stay", why: "no write is under way" },
  { from: states, command: "ChallengeRemoved", to: "stay", why: "its work is done; only its absence is noted" },
  { from: ["verified", "dns_writing"], command: "ApplyRecords", to: "stay", why: "under way already" },
  { from: ["propagating"], command: "ApplyRecords", when: "hasCredential", to: "dns_writing", why: "what is missing is written" },
  { from: ["issuing_cert", "live", "drifted"], command: "ApplyRecords", when: "hasCredential", to: "stay",
    why: "repaired while it is served; the next look tells" },
  { from: ["stalled"], command: "ApplyRecords", when: "claimedAndHasCredential", to: "interrupted", why: "the caller's help counts as progress" },
  { from: ["propagating", "issuing_cert", "live", "drifted"], command: "ApplyRecords", to: "refuse",
    why: "there is no credential to write with" },
  { from: [...unproven, "stalled", ...ended], command: "ApplyRecords", to: "refuse", why: "nothing is written before ownership is proven" },

  // Records at the zone's own servers.
  { from: ["propagating"], command: "RecordsObserved", when: "recordsMatch", to: "issuing_cert",
    why: "every desired record resolved to its intended value; passed without an order if a certificate came early" },
  { from: ["propagating"], command: "RecordsObserved", to: "stay", why: "not all there yet, or unknown" },
  { from: ["issuing_cert"], command: "RecordsObserved", when: "recordsDiffer", to: "propagating", why: "records lost: the CA would fail" },
  { from: ["issuing_cert"], command: "RecordsObserved", to: "stay", why: "still there, or unknown" },
  { from: ["live"], command: "RecordsObserved", when: "secondMiss", to: "drifted",
    why: "one miss may be a reload of the zone; two looks in a row are a change" },
  { from: ["live"], command: "RecordsObserved", to: "stay",
    why: "right, unknown, or a first miss that the next look will confirm or clear" },
  { from: ["drifted"], command: "RecordsObserved", when: "recordsMatch", to: "live", why: "back again; it was served all the time" },
  { from: ["drifted"], command: "RecordsObserved", to: "stay", why: "still away, or unknown" },
  { from: ["stalled"], command: "RecordsObserved", when: "recordsProgress", to: "interrupted", why: "a record more than before" },
  { from: ["stalled"], command: "RecordsObserved", to: "stay", why: "no progress" },
  { from: [...unproven, "verified", "dns_writing", ...ended], command: "RecordsObserved", to: "stay",
    why: "worth showing, but a web record is never proof, and a write is not finished by looking" },

  // The certificate.
  { from: ["stalled"], command: "CertificateIssued", when: "leftIssuing", to: "interrupted", why: "the CA delivered after all" },
  { from: states.filter((state) => state !== "stalled"), command: "CertificateIssued", to: "stay",
    why: "stored for the claim; live follows when the edges have it, and an early one spares the order" },
  { from: ["stalled"], command: "CertificateIssued", to: "stay", why: "stored; the customer's part is still missing" },
  { from: states, command: "CertificateFailed", to: "stay", why: "the certifier tries again by its own ladder; a served name is served on" },
  { from: states, command: "CertificateNoted", to: "stay", why: "shown, and nothing else" },
  { from: ["issuing_cert"], command: "EdgesReported", when: "certificateServed", to: "live",
    why: "records right, certificate stored, every connected edge can serve it: committed once, whoever comes first" },
  { from: ["issuing_cert"], command: "EdgesReported", to: "stay", why: "about an entry that has been replaced since" },
  { from: ["stalled"], command: "EdgesReported", when: "certificateServed", to: "interrupted", why: "an edge has connected at last" },
  { from: others("issuing_cert"), command: "EdgesReported", to: "stay", why: "went live already, or is on its way back" },

  // What the vendor asks for.
  { from: states, command: "UpdateRouting", to: "stay", why: "edges are told if the name is held" },
  { from: started, command: "Archive", to: "archived", why: "the claim is released; the customer's DNS is not touched" },
  { from: ["created", "archived"], command: "Archive", to: "stay", why: "gone already, or not there yet" }
]

/** The rows of a state and a command, in the order in which they are tried. */
export const rowsOf = (state: StateName, command: CommandName): ReadonlyArray<Transition> => index.get(`${state} ${command}`) ?? []

const index = new Map(
  states.flatMap((state) =>
    commandNames.map((command) => [`${state} ${command}`, transitions.filter((row) => row.command === command && row.from.includes(state))])
  )
)
