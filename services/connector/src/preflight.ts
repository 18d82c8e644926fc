/**
 * What stands in a domain's DNS before it is connected, and what of it will be in the way.
 *
 * Owns: the questions and the words of conflicts and findings. Leaves setup types and providers to `domainCheck.ts`, the looks to `libs/dns`.
 * Built against a customer who learns of an old AAAA, a CAA or a signed zone only when a certificate fails.
 */
import { plainName } from "@connect-domain/dns/message.ts"
import { answersIn, Resolver, type ServerReply } from "@connect-domain/dns/Resolver.ts"
import { type DnsRecord, normaliseValue } from "@connect-domain/domain/DnsRecord.ts"
import { baseOf, isWildcard } from "@connect-domain/domain/Hostname.ts"
import type { checkDomain, Finding } from "@connect-domain/messages/connector.ts"
import { Config, Effect } from "effect"

/** `CD_CAA_ISSUERS`: comma list of the CA names that may issue for us, as they stand in CAA records. Default: `letsencrypt.org`. */
export const CaaIssuers = Config.String("CD_CAA_ISSUERS").pipe(
  Config.withDefault("letsencrypt.org"),
  Config.map((text) =>
    text
      .split(",")
      .map((name) => name.trim().toLowerCase())
      .filter((name) => name !== "")
  )
)

type Conflicts = (typeof checkDomain)["success"]["Type"]["conflicts"]
type Findings = ReadonlyArray<typeof Finding.Type>
type Found = { readonly conflicts: Conflicts; readonly findings: Findings }
const day = 86_400

const finding = (code: string, severity: "info" | "warning" | "error", message: string): typeof Finding.Type => ({
  code,
  severity,
  message
})
const valuesOf = (replies: ReadonlyArray<ServerReply>): ReadonlyArray<string> => [
  ...new Set(answersIn(replies).flatMap((outcome) => outcome.values))
]
const ask = (name: string, type: Parameters<(typeof Resolver)["Service"]["ask"]>[1]) =>
  Effect.flatMap(Resolver, (resolver) => resolver.ask(name, type)).pipe(
    Effect.catchTag("NoAuthority", () => Effect.succeed<ReadonlyArray<ServerReply>>([]))
  )

/** Everything at once; `planned` is what would be asked for. */
export const preflight = Effect.fn("connector.preflight")(function* (
  hostname: string,
  zone: string,
  planned: ReadonlyArray<DnsRecord>,
  issuers: ReadonlyArray<string>
) {
  const hosts = [...new Set([hostname, ...planned.map((record) => record.host)])]
  const parts = yield* Effect.all(
    [
      ...hosts.map((host) =>
        standing(
          host,
          planned.filter((record) => record.host === host)
        )
      ),
      caa(hostname, zone, issuers),
      dnssec(zone),
      servers(hostname)
    ],
    { concurrency: "unbounded" }
  )
  const found: Found = { conflicts: parts.flatMap((part) => part.conflicts), findings: parts.flatMap((part) => part.findings) }
  return found
})

/** Addresses and aliases at one planned name that are not the planned ones. */
const standing = Effect.fnUntraced(function* (host: string, planned: ReadonlyArray<DnsRecord>) {
  const [a, aaaa] = yield* Effect.all([ask(host, "A"), ask(host, "AAAA")], { concurrency: 2 })
  const wanted = new Set(planned.map((record) => `${record.type} ${normaliseValue(record.type, record.value)}`))
  const alias = answersIn([...a, ...aaaa]).find((outcome) => outcome.alias !== null)?.alias ?? null
  const there: ReadonlyArray<{ readonly type: "A" | "AAAA" | "CNAME"; readonly value: string }> =
    alias !== null
      ? [{ type: "CNAME", value: alias }]
      : [
          ...valuesOf(a).map((value) => ({ type: "A" as const, value })),
          ...valuesOf(aaaa).map((value) => ({ type: "AAAA" as const, value }))
        ]
  const foreign = there.filter(({ type, value }) => !wanted.has(`${type} ${value}`))
  const conflicts = foreign.map(({ type, value }) => ({ host, type, value, reason: reasonFor(type, planned) }))
  const findings: Array<typeof Finding.Type> = []
  if (foreign.some(({ type }) => type === "AAAA")) {
    findings.push(
      finding(
        "foreign_aaaa",
        "warning",
        `${host} has an IPv6 address that leads elsewhere; remove it, or visitors over IPv6 will not reach the new site`
      )
    )
  }
  const ttl = Math.max(0, ...answersIn([...a, ...aaaa]).map((outcome) => outcome.ttl ?? 0))
  if (foreign.length > 0 && ttl >= day)
    findings.push(finding("long_ttl", "info", `resolvers may keep the old record of ${host} for ${Math.round(ttl / 3600)} hours`))
  return { conflicts, findings }
})

const reasonFor = (type: string, planned: ReadonlyArray<DnsRecord>): string => {
  if (type === "CNAME") return "an alias to another place; it must be replaced"
  return planned.some((record) => record.type === "CNAME")
    ? "a CNAME can't stand beside an address; it must be replaced"
    : "an address that is not ours beside the wanted one; it must be removed"
}

/** RFC 8659: the closest name with CAA records decides, from the name up to the zone's top and beyond. */
const caa = Effect.fnUntraced(function* (hostname: string, zone: string, issuers: ReadonlyArray<string>) {
  const labels = baseOf(hostname).split(".")
  const climb = labels.map((_, at) => labels.slice(at).join(".")).filter((name) => name.includes(".") || name === zone)
  for (const name of climb) {
    const replies = yield* Effect.flatMap(Resolver, (resolver) => resolver.follow(name, "CAA")).pipe(
      Effect.catchTag("NoAuthority", () => Effect.succeed([]))
    )
    const values = valuesOf(replies)
    if (values.length === 0) continue
    const allowed = allowedIssuers(values, isWildcard(hostname))
    if (allowed === undefined || issuers.some((issuer) => allowed.includes(issuer)))
      return { conflicts: [], findings: [finding("caa_allows", "info", `CAA records at ${name} allow our certificate authority`)] }
    const hint = `add CAA 0 issue "${issuers[0] ?? "letsencrypt.org"}"`
    return {
      conflicts: [],
      findings: [
        finding("caa_forbids", "error", `CAA records at ${name} allow certificates from ${allowed.join(", ") || "nobody"} only; ${hint}`)
      ]
    }
  }
  return { conflicts: [], findings: [] }
})

/** The CA names that may issue; undefined when no property restricts it. */
const allowedIssuers = (values: ReadonlyArray<string>, wildcard: boolean): ReadonlyArray<string> | undefined => {
  const properties = values
    .map((value) => /^\d+ (\S+) "?([^"]*)"?$/.exec(value))
    .flatMap((match) => (match === null ? [] : [{ tag: match[1]!, value: match[2]! }]))
  const wild = wildcard ? properties.filter(({ tag }) => tag === "issuewild") : []
  const issue = wild.length > 0 ? wild : properties.filter(({ tag }) => tag === "issue")
  if (issue.length === 0) return undefined
  return issue.map(({ value }) => value.split(";")[0]!.trim().toLowerCase()).filter((name) => name !== "")
}

const dnssec = (zone: string) =>
  Effect.map(zone === "" ? Effect.succeed([]) : ask(zone, "DS"), (replies): Found => {
    const signed = valuesOf(replies).length > 0
    return {
      conflicts: [],
      findings: signed
        ? [finding("dnssec", "info", `${zone} is signed with DNSSEC; if its DNS moves, remove the DS record at the registrar first`)]
        : []
    }
  })

/** Servers of the zone that don't answer, or don't agree about the name. */
const servers = (hostname: string) =>
  Effect.map(ask(plainName(hostname), "A"), (replies): Found => {
    const silent = replies.filter(({ outcome }) => outcome.kind === "failed").map(({ server }) => server)
    const views = new Set(answersIn(replies).map((outcome) => [outcome.alias ?? "", ...[...outcome.values].sort()].join(" ")))
    return {
      conflicts: [],
      findings: [
        ...(silent.length > 0
          ? [
              finding(
                "server_silent",
                "warning",
                `the name server ${silent.join(", ")} does not answer for this domain; some visitors will wait`
              )
            ]
          : []),
        ...(views.size > 1
          ? [finding("servers_disagree", "warning", "the domain's name servers give different answers; a change may still be spreading")]
          : [])
      ]
    }
  })
