/**
 * The certifier as one layer: its mailbox, its scheduler, and all they need, from the process's environment.
 *
 * Owns: the wiring. `main.ts` runs it alone; the all-in-one process runs it beside the others.
 */
import { Database } from "@connect-domain/database/Database.ts"
import { messaging } from "@connect-domain/nats/messaging.ts"
import { Outbox } from "@connect-domain/outbox/Outbox.ts"
import { healthServer } from "@connect-domain/telemetry/healthServer.ts"
import { Readiness } from "@connect-domain/telemetry/Readiness.ts"
import { Telemetry } from "@connect-domain/telemetry/Telemetry.ts"
import { Layer } from "effect"
import { Accounts } from "./Accounts.ts"
import { Authorities } from "./Authorities.ts"
import { ClaimAttendant } from "./attendClaim.ts"
import { Budgets } from "./Budgets.ts"
import { CertificateBucket } from "./CertificateBucket.ts"
import { Certificates } from "./Certificates.ts"
import { Claims } from "./Claims.ts"
import { ChallengeMemory } from "./challenges/ChallengeMemory.ts"
import { ChallengeTexts } from "./challenges/ChallengeTexts.ts"
import { DnsAnswers } from "./challenges/DnsAnswers.ts"
import { EdgeAnswers } from "./challenges/EdgeAnswers.ts"
import { Proofs } from "./challenges/Proofs.ts"
import { reapTexts } from "./challenges/reapTexts.ts"
import { servePersistRecord } from "./challenges/servePersistRecord.ts"
import { handleRequests } from "./handleRequests.ts"
import { Imports } from "./imported/Imports.ts"
import { serveImports } from "./imported/serveImports.ts"
import { LiveEdges } from "./LiveEdges.ts"
import { Notices } from "./Notices.ts"
import { Ordering } from "./Ordering.ts"
import { Revocations } from "./operations/Revocations.ts"
import { serveOperations } from "./operations/serveOperations.ts"
import { Preflight } from "./Preflight.ts"
import { Replacements } from "./Replacements.ts"
import { readiness } from "./readiness.ts"
import { retirement, scheduler } from "./Scheduler.ts"
import { VanishedIssuers } from "./VanishedIssuers.ts"
import { Wake } from "./Wake.ts"
import { gaugesKept } from "./watch/Gauges.ts"

const tables = Layer.mergeAll(
  Claims.layer,
  Replacements.layer,
  Certificates.layer,
  Accounts.layer,
  Budgets.layer,
  ChallengeMemory.layer,
  ChallengeTexts.layer,
  Outbox.layer("certifier")
)
const challenges = Proofs.layer.pipe(
  Layer.provide(Layer.mergeAll(EdgeAnswers.layer, DnsAnswers.layer)),
  Layer.provideMerge(LiveEdges.layer),
  Layer.provideMerge(tables)
)
const parts = Layer.mergeAll(ClaimAttendant.layer, Revocations.layer).pipe(
  Layer.provideMerge(Ordering.layer),
  Layer.provideMerge(Layer.mergeAll(Authorities.layer, CertificateBucket.layer, Notices.layer, Preflight.layer)),
  Layer.provideMerge(Layer.mergeAll(VanishedIssuers.layer, Imports.layer)),
  Layer.provideMerge(Layer.mergeAll(challenges, Wake.layer))
)

export const layer = Layer.mergeAll(
  handleRequests,
  serveImports,
  serveOperations,
  Revocations.worker,
  scheduler,
  retirement,
  reapTexts,
  servePersistRecord,
  CertificateBucket.restorer,
  gaugesKept,
  readiness,
  healthServer("certifier")
).pipe(
  Layer.provide(parts),
  Layer.provide(Readiness.layer),
  Layer.provide(Layer.mergeAll(Database.layer("certifier"), messaging("certifier"))),
  Layer.provide(Telemetry.layer("certifier"))
)
