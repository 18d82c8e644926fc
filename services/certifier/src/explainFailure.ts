/**
 * A CA's refusal in words that tell the customer what to do.
 *
 * Owns: the sentences shown as `certificate.last_error` and in `ssl.failed`. Leaves the CA's own words at the end, for whoever must dig.
 * Built against: "urn:ietf:params:acme:error:unauthorized" in front of somebody who owns a flower shop.
 */
import { type AcmeError, type AcmeReason, isPolicy } from "./acme/AcmeError.ts"
import type { PreflightFailed } from "./Preflight.ts"
import type { FailureKind } from "./retryLadder.ts"

/** Problem types of RFC 8555 §6.7 that an issuance can meet; `{host}` is the hostname, `{port}` where the CA knocked. */
const advice: Readonly<Record<string, string>> = {
  connection:
    "The certificate authority could not reach {host}. Check that its DNS records are exactly as shown, that no AAAA record points elsewhere, and that no firewall or CDN blocks {port}.",
  dns: "The certificate authority could not look up {host}. Check that the name exists, and that DNSSEC, if the domain uses it, is not broken.",
  unauthorized:
    "{host} answered the certificate authority from somewhere else. Remove other A, AAAA or CNAME records of this name, and turn off a proxy or redirect in front of it.",
  incorrectResponse:
    "{host} answered the certificate authority from somewhere else. Remove other A, AAAA or CNAME records of this name, and turn off a proxy or redirect in front of it.",
  tls: "The certificate authority met a TLS error at {host}. Turn off a proxy in front of it.",
  caa: "A CAA record of the domain forbids our certificate authority. Add a CAA record that allows it, or remove the CAA records.",
  rejectedIdentifier:
    "The certificate authority does not issue for {host} as a matter of policy. Use another hostname, or ask us for another certificate authority.",
  unsupportedIdentifier: "The certificate authority does not issue for this kind of name. Use another hostname."
}

/** For DNS challenges the same types mean something else. */
const dnsAdvice: Readonly<Record<string, string>> = {
  "dns-01":
    "The certificate authority did not see our TXT record for {host}. Check that all name servers of the domain answer alike and that DNSSEC, if the domain uses it, is not broken.",
  "dns-persist-01":
    "The certificate authority does not accept the _validation-persist TXT record of {host}. Set it exactly as shown, or remove it; without it we prove the name in another way."
}

const generic = "The certificate authority refused a certificate for {host}. We will try again; if it goes on, contact support."

/** One or two sentences, without secrets, at most about 600 characters. */
export const explainFailure = (hostname: string, reason: AcmeReason): string => {
  switch (reason._tag) {
    case "Refused": {
      const { type, detail } = reason.problem
      const port = reason.challenge === "tls-alpn-01" ? "port 443" : "port 80"
      const said = (isPolicy(reason) ? undefined : dnsAdvice[reason.challenge ?? ""]) ?? advice[type] ?? generic
      const sentence = said.replaceAll("{host}", hostname).replaceAll("{port}", port)
      return `${sentence} (${type}: ${detail.slice(0, 300)})`
    }
    case "NotPlaced":
      return `We could not prove to the certificate authority that ${hostname} is yours: ${reason.detail.slice(0, 500)}`
    case "RateLimited":
      return "The certificate authority limits how many certificates it issues; nothing to do, we try again as soon as it allows."
    default:
      return "The certificate authority is not reachable at the moment; nothing to do, we keep trying."
  }
}

const kinds: Readonly<Record<AcmeReason["_tag"], FailureKind>> = {
  Refused: "refused",
  RateLimited: "limited",
  NotPlaced: "blocked",
  Unavailable: "unavailable",
  AccountUnknown: "unavailable",
  Gone: "unavailable"
}

/** Which ladder a failed attempt climbs, how long the CA wants us to wait, and what the customer reads. */
export const explainAttempt = (
  hostname: string,
  error: AcmeError | PreflightFailed
): { readonly kind: FailureKind; readonly retryAfterSeconds: number; readonly message: string } => {
  if (error._tag === "PreflightFailed") return { kind: error.kind, retryAfterSeconds: 0, message: error.message }
  const { reason } = error
  const retryAfterSeconds = "retryAfterSeconds" in reason ? (reason.retryAfterSeconds ?? 0) : 0
  return { kind: kinds[reason._tag], retryAfterSeconds, message: explainFailure(hostname, reason) }
}
