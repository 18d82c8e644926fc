/**
 * What the certifier is asked: that a claim has a certificate or stops having one, to take a caller's own, to name a lasting DNS record;
 * and by an operator: to replace, to revoke, to change an account's key, to list what fails.
 */
import { Schema } from "effect"
import { CertificateMirror, Environment } from "./connection.ts"
import { call, work } from "./definition.ts"
import { DesiredRecord } from "./record.ts"

const claim = {
  connection_id: Schema.String,
  tenant_id: Schema.String,
  claim_id: Schema.String,
  hostname: Schema.String,
  environment: Environment
}

/**
 * "This claim shall have a certificate." One order per claim; later callers join it; a fresh certificate is answered without an order.
 * Answered by `certificateChanged`. Sent by the lifecycle, and by a router that meets a claimed name without a certificate.
 */
export const ensureCertificate = work({
  subject: "cd.work.v1.certifier.order.ensure.{connection_id}",
  from: ["lifecycle", "router"],
  to: "certifier",
  payload: Schema.Struct({
    ...claim,
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

/** The public half that a caller's certificate key is sealed for (`libs/secrets/src/PublicSeal.ts`). The gateway can't open what it sealed. */
export const importKey = call({
  subject: "cd.call.v1.certifier.import-key",
  from: ["gateway"],
  to: "certifier",
  payload: Schema.Struct({}),
  success: Schema.Struct({ key_id: Schema.String, public_key: Schema.String })
})

/**
 * The caller's own certificate for a claim: stored before this answers, served as soon as edges have it and watched; near its end a CA's takes
 * its place.
 * Errors: `invalid` (details name `certificate` or `private_key`), `not_found` (the claim is over), `unavailable`.
 */
export const importCertificate = call({
  subject: "cd.call.v1.certifier.import",
  from: ["gateway"],
  to: "certifier",
  timeoutMillis: 8_000,
  payload: Schema.Struct({
    ...claim,
    /** PEM, in any order. */
    certificate: Schema.String,
    /** PEM sealed for `importKey`'s half, at `importedKeyPlace(connection_id)`. */
    sealed_key: Schema.String
  }),
  success: Schema.Struct({ certificate: CertificateMirror })
})

/** Back to a CA: the imported certificate is served until its successor is. Without one nothing happens. Errors: `unavailable`. */
export const withdrawCertificate = call({
  subject: "cd.call.v1.certifier.withdraw",
  from: ["gateway"],
  to: "certifier",
  timeoutMillis: 8_000,
  payload: Schema.Struct(claim),
  success: Schema.Struct({ certificate: CertificateMirror })
})

/**
 * Revokes at the CA that issued and replaces what is served. All that is given must hold; at least one must be given. The wish is a row
 * before this answers, and outlives a crash. `keyCompromise` is revoked at once, everything else once its successor is served.
 */
export const revokeCertificates = call({
  subject: "cd.call.v1.certifier.revoke",
  from: ["operator"],
  to: "certifier",
  timeoutMillis: 60_000,
  payload: Schema.Struct({
    serial: Schema.NullOr(Schema.String),
    connection_id: Schema.NullOr(Schema.String),
    /** RFC 5280 §5.3.1, those that RFC 8555 lets a subscriber give. */
    reason: Schema.Literals(["unspecified", "keyCompromise", "affiliationChanged", "superseded", "cessationOfOperation"]),
    dry_run: Schema.Boolean
  }),
  success: Schema.Struct({ matching: Schema.Int })
})

/**
 * A new key for our account at a CA (RFC 8555 §7.3.5). New work waits until orders under way have ended, a minute at most; asked again
 * after a crash it goes on where it was. Errors: `not_found` (no account there), `unavailable` (the CA, or orders that don't end).
 */
export const rollAccountKey = call({
  subject: "cd.call.v1.certifier.roll-account-key",
  from: ["operator"],
  to: "certifier",
  timeoutMillis: 120_000,
  payload: Schema.Struct({ ca: Schema.String }),
  success: Schema.Struct({ account: Schema.String, thumbprint: Schema.String })
})

/** Names whose last attempt failed, the longest failing first. `after`: the `next` of the page before. Errors: `invalid` (`after`). */
export const listFailing = call({
  subject: "cd.call.v1.certifier.list-failing",
  from: ["operator"],
  to: "certifier",
  timeoutMillis: 10_000,
  payload: Schema.Struct({ after: Schema.NullOr(Schema.String), limit: Schema.Int }),
  success: Schema.Struct({
    failing: Schema.Array(
      Schema.Struct({
        claim_id: Schema.String,
        hostname: Schema.String,
        tenant_id: Schema.String,
        failures: Schema.Int,
        kind: Schema.NullOr(Schema.String),
        last_error: Schema.NullOr(Schema.String),
        failing_since: Schema.NullOr(Schema.String),
        next_attempt_at: Schema.NullOr(Schema.String),
        paused_until: Schema.NullOr(Schema.String),
        /** Of the certificate that is served meanwhile. */
        not_after: Schema.NullOr(Schema.String)
      })
    ),
    /** Where the next page begins, whatever becomes of these names meanwhile; null: this is the last. */
    next: Schema.optionalKey(Schema.NullOr(Schema.String))
  })
})

/**
 * What a customer may set once so that certificates need nothing further of him: TXT values for `name` (DNS-PERSIST-01), one for each CA
 * of the environment that looks at such records; none: no CA does, as far as is known, or the operator does not want it. Nothing waits for
 * these records. They name our account, so they are the same until it changes. Answered from memory and Postgres, no CA is asked.
 */
export const persistRecord = call({
  subject: "cd.call.v1.certifier.persist-record",
  from: ["lifecycle", "gateway"],
  to: "certifier",
  timeoutMillis: 2_000,
  payload: Schema.Struct({
    environment: Environment,
    /** `*.x` too: its value allows wildcards and every name below x, that of x allows x alone. */
    hostname: Schema.String
  }),
  success: Schema.Struct({ name: Schema.String, values: Schema.Array(Schema.String) })
})
