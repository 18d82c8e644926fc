/** What the certifier is asked: that a claim has a certificate, and that it stops having one. */
import { Schema } from "effect"
import { Environment } from "./connection.ts"
import { work } from "./definition.ts"

/**
 * "This claim shall have a certificate." One order per claim; later callers join it; a fresh certificate is answered without an order.
 * Answered by `certificateChanged`. Sent by the lifecycle, and by a router that meets a claimed name without a certificate.
 */
export const ensureCertificate = work({
  subject: "cd.work.v1.certifier.order.ensure.{connection_id}",
  from: ["lifecycle", "router"],
  to: "certifier",
  payload: Schema.Struct({
    connection_id: Schema.String,
    tenant_id: Schema.String,
    claim_id: Schema.String,
    hostname: Schema.String,
    environment: Environment
  })
})

/** The claim ended: no renewal from now on, the key destroyed within 24 h, the bucket entry removed. */
export const releaseCertificate = work({
  subject: "cd.work.v1.certifier.order.release.{connection_id}",
  from: ["lifecycle"],
  to: "certifier",
  payload: Schema.Struct({ connection_id: Schema.String, claim_id: Schema.String, hostname: Schema.String })
})
