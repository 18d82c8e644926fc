/** What the certifier is asked: that a claim has a certificate, that it stops having one, and that many are replaced. */
import { Schema } from "effect"
import { Environment } from "./connection.ts"
import { call, work } from "./definition.ts"
import { DesiredRecord } from "./record.ts"

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
    environment: Environment,
    /** What must stand in the DNS for the name to lead to us; absent: as said before, or not known. */
    records: Schema.optionalKey(Schema.Array(DesiredRecord)),
    /**
     * Something happened that makes a new attempt worthwhile: ends a back-off or a pause. Absent: the wish is said again, and nothing is
     * hurried. Names that failed within the last minute wait for the minute to end.
     */
    reason: Schema.optionalKey(Schema.Literals(["records_changed", "asked"]))
  })
})

/** The claim ended: no renewal from now on, the key destroyed within 24 h, the bucket entry removed. */
export const releaseCertificate = work({
  subject: "cd.work.v1.certifier.order.release.{connection_id}",
  from: ["lifecycle"],
  to: "certifier",
  payload: Schema.Struct({ connection_id: Schema.String, claim_id: Schema.String, hostname: Schema.String })
})

/**
 * Replaces every served certificate that matches all of what is given (nothing given: all), after a revocation or a CA's mishap. They are
 * served on until each one's successor is. Answers as soon as they are marked; `dry_run` marks nothing. Errors: `invalid` (a time).
 */
export const replaceCertificates = call({
  subject: "cd.call.v1.certifier.replace",
  from: ["operator"],
  to: "certifier",
  timeoutMillis: 60_000,
  payload: Schema.Struct({
    /** As callers see it: `letsencrypt`, a directory's host, `internal`. */
    ca: Schema.NullOr(Schema.String),
    /** `http-01` … */
    challenge: Schema.NullOr(Schema.String),
    /** Issued at or after, and before: ISO 8601. */
    since: Schema.NullOr(Schema.String),
    until: Schema.NullOr(Schema.String),
    /** Lower-case hex. */
    serial: Schema.NullOr(Schema.String),
    reason: Schema.String,
    dry_run: Schema.Boolean
  }),
  success: Schema.Struct({ matching: Schema.Int })
})

/**
 * What a customer may set once so that certificates need nothing further of him: TXT values for `name` (DNS-PERSIST-01), one for each CA
 * of the environment that looks at such records; none: no CA does, as far as is known, or the operator does not want it. Nothing waits for
 * these records. They name our account, so they are the same until it changes. Answered from memory and Postgres, no CA is asked.
 */
export const persistRecord = call({
  subject: "cd.call.v1.certifier.persist-record",
  from: ["lifecycle"],
  to: "certifier",
  timeoutMillis: 2_000,
  payload: Schema.Struct({
    environment: Environment,
    /** `*.x` too: its value allows wildcards and every name below x, that of x allows x alone. */
    hostname: Schema.String
  }),
  success: Schema.Struct({ name: Schema.String, values: Schema.Array(Schema.String) })
})
