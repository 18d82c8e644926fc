/**
 * The requests that this provider sends and how their answers read.
 *
 * Owns: paths, headers, statuses, and which of the six reasons a failure is. Leaves to `PowerDnsProvider` their order. The key goes into
 * one header and into no message.
 */
import type { Reach } from "@connect-domain/dns-provider/Descriptor.ts"
import {
  AccessDenied,
  Conflict,
  DnsProviderError,
  type Operation,
  RateLimited,
  type Reason,
  Unavailable,
  Unsupported,
  ZoneNotFound
} from "@connect-domain/dns-provider/DnsProvider.ts"
import { Effect, Schema } from "effect"
import type { PowerDnsCredential } from "./descriptor.ts"

const ApiRecordSet = Schema.Struct({
  name: Schema.String,
  type: Schema.String,
  ttl: Schema.Number,
  records: Schema.Array(Schema.Struct({ content: Schema.String, disabled: Schema.optional(Schema.Boolean) }))
})
export type ApiRecordSet = typeof ApiRecordSet.Type
const decodeZones = Schema.decodeUnknownEffect(
  Schema.fromJsonString(Schema.Array(Schema.Struct({ id: Schema.String, name: Schema.String })))
)
const decodeZone = Schema.decodeUnknownEffect(Schema.fromJsonString(Schema.Struct({ rrsets: Schema.Array(ApiRecordSet) })))

export const failure = (operation: Operation, reason: Reason, zone: "unchanged" | "unknown" = "unchanged") =>
  Effect.fail(new DnsProviderError({ provider: "powerdns", operation, zone, reason }))

const timeoutMs = 8_000

export const makeApi = (credential: PowerDnsCredential, reach: Reach) => {
  const base = `${credential.url}/api/v1/servers/${credential.serverId}/zones`
  const send = (operation: Operation, path: string, init: { readonly method?: "PATCH"; readonly body?: string } = {}) =>
    reach
      .request(`${base}${path}`, {
        ...init,
        headers: { "x-api-key": credential.apiKey, "content-type": "application/json" },
        timeoutMs,
        maxBytes: 8 * 1024 * 1024
      })
      .pipe(
        Effect.catchTag("EgressError", (error) =>
          failure(
            operation,
            unreached(error.reason, error.message),
            operation === "apply" && init.method !== undefined ? "unknown" : "unchanged"
          )
        ),
        Effect.flatMap((answer) => {
          const text = Buffer.from(answer.body).toString("utf8")
          if (answer.status >= 200 && answer.status < 300) return Effect.succeed(text)
          return failure(
            operation,
            refused(answer.status, answer.headers, text, path),
            answer.status >= 500 && init.method !== undefined ? "unknown" : "unchanged"
          )
        })
      )
  const read = <A>(operation: Operation, path: string, decode: (text: string) => Effect.Effect<A, Schema.SchemaError>) =>
    Effect.flatMap(send(operation, path), (text) => Effect.catchTag(decode(text), "SchemaError", () => failure(operation, notPowerDns)))
  return {
    zonesNamed: (operation: Operation, name: string) => read(operation, `?zone=${encodeURIComponent(`${name}.`)}`, decodeZones),
    recordSets: (operation: Operation, zoneId: string, name: string) =>
      Effect.map(
        read(operation, `/${encodeURIComponent(zoneId)}?rrset_name=${encodeURIComponent(`${name}.`)}`, decodeZone),
        (zone) => zone.rrsets
      ),
    patch: (zoneId: string, rrsets: ReadonlyArray<object>) =>
      Effect.asVoid(send("apply", `/${encodeURIComponent(zoneId)}`, { method: "PATCH", body: JSON.stringify({ rrsets }) }))
  }
}

const notPowerDns = new Unsupported({
  capability: "api",
  remedy: "the address answers, but not as a PowerDNS 4 API does; check the credential's url"
})

const unreached = (reason: string, detail: string): Reason => {
  if (reason === "Denied" || reason === "InvalidUrl")
    return new AccessDenied({ remedy: "the API's address is not reachable from this service by policy; use a public https address" })
  if (reason === "Tls") return new AccessDenied({ remedy: "the API's TLS certificate is not valid for its address" })
  return new Unavailable({ detail })
}

/** 4.7 answers 401 to a wrong key, 404 to a zone or server that is not there, 422 with a sentence to contents it refuses. */
const refused = (status: number, headers: Readonly<Record<string, string>>, text: string, path: string): Reason => {
  if (status === 401 || status === 403)
    return new AccessDenied({ remedy: "PowerDNS refuses the API key; check api-key and webserver-allow-from in pdns.conf" })
  if (status === 404)
    return new ZoneNotFound({ hostname: decodeURIComponent(path.replace(/^\/|\?.*$/g, "")).replace(/\.$/, "") || "this server id" })
  if (status === 429) return new RateLimited({ retryAfterSeconds: Number(headers["retry-after"]) || 30 })
  const sentence = /"error"\s*:\s*"((?:[^"\\]|\\.)*)"/.exec(text)?.[1] ?? `status ${status}`
  const [, name] = /RRset (\S+?)\.? IN \S+: Conflicts with/.exec(sentence) ?? []
  if (name !== undefined) return new Conflict({ name, found: ["a record that excludes this one"] })
  if (status === 422) return new Unsupported({ capability: "content", remedy: `PowerDNS refuses the change: ${sentence}` })
  return new Unavailable({ detail: `PowerDNS answers with status ${status}` })
}
