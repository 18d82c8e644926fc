/**
 * Which records a hostname needs.
 *
 * Owns: the default plan and the placeholders of an application's template. Leaves to libs/dns: whether they are there; to the
 * connector: how a provider writes them.
 * Built against: a CNAME beside SOA and NS at an apex (RFC 1034 §3.6.2), and a template that reaches into a foreign zone.
 */
import { Result } from "effect"

export type RecordType = "A" | "AAAA" | "CNAME" | "TXT" | "MX" | "CAA" | "NS" | "SRV" | "ALIAS"
const recordTypes: ReadonlySet<string> = new Set<RecordType>(["A", "AAAA", "CNAME", "TXT", "MX", "CAA", "NS", "SRV", "ALIAS"])
const isRecordType = (type: string): type is RecordType => recordTypes.has(type)

/** `host` is absolute, lower-case, without trailing dot; `ttl` in seconds; `required: false` is useful but not waited for. */
export interface DesiredRecord {
  readonly host: string
  readonly type: RecordType
  readonly value: string
  readonly ttl: number
  readonly priority?: number
  readonly required?: boolean
}

/** As an application declares it, with `{hostname} {apex} {edge}` in host and value. */
export interface TemplateRecord {
  readonly host: string
  readonly type: string
  readonly value: string
  readonly ttl?: number
  readonly priority?: number
}
export interface RecordTemplate {
  readonly subdomain?: ReadonlyArray<TemplateRecord>
  readonly apex?: ReadonlyArray<TemplateRecord>
}

export interface Target {
  readonly hostname: string
  readonly apex: string
  readonly kind: "apex" | "subdomain"
  /** The name that CNAMEs point at. */
  readonly edge: string
  /** The addresses of the same edge, for names that can't have a CNAME. */
  readonly edge_addresses: ReadonlyArray<string>
}

/** A sentence for the person who wrote the template; `field` is the path within it. */
export interface PlanProblem {
  readonly field: string
  readonly message: string
}

const defaultTtl = 300

/** A sub-domain: one CNAME. An apex: an A or AAAA per address; an equal ALIAS or flattened answer is accepted by the matcher. */
export const defaultRecords = (target: Target): ReadonlyArray<DesiredRecord> =>
  target.kind === "subdomain"
    ? [{ host: target.hostname, type: "CNAME", value: target.edge, ttl: defaultTtl }]
    : target.edge_addresses.map((address) => ({
        host: target.hostname,
        type: address.includes(":") ? "AAAA" : "A",
        value: address,
        ttl: defaultTtl
      }))

/**
 * The records of one hostname: the template's for its kind, else the default.
 *
 * `planRecords({ subdomain: [{ host: "{hostname}", type: "CNAME", value: "{edge}" }] }, target)` is the default spelled out.
 */
export const planRecords = (template: RecordTemplate | null, target: Target): Result.Result<ReadonlyArray<DesiredRecord>, PlanProblem> => {
  const wanted = template?.[target.kind]
  if (wanted === undefined || wanted.length === 0) return Result.succeed(defaultRecords(target))
  const records: Array<DesiredRecord> = []
  for (const [index, entry] of wanted.entries()) {
    const planned = planRecord(entry, target, `record_template.${target.kind}[${index}]`)
    if (Result.isFailure(planned)) return Result.fail(planned.failure)
    records.push(planned.success)
  }
  return checkRecords(records, target, `record_template.${target.kind}`)
}

const planRecord = (entry: TemplateRecord, target: Target, field: string): Result.Result<DesiredRecord, PlanProblem> => {
  const fill = (text: string): string =>
    text.replaceAll("{hostname}", target.hostname).replaceAll("{apex}", target.apex).replaceAll("{edge}", target.edge)
  const type = entry.type.toUpperCase()
  if (!isRecordType(type)) return Result.fail({ field: `${field}.type`, message: `is not a record type that can be set: ${entry.type}` })
  return Result.succeed({
    host: fill(entry.host).toLowerCase().replace(/\.$/, ""),
    type,
    value: fill(entry.value),
    ttl: entry.ttl ?? defaultTtl,
    ...(entry.priority === undefined ? {} : { priority: entry.priority })
  })
}

/** What holds for every plan, also one that the caller of the API spelled out. */
export const checkRecords = (
  records: ReadonlyArray<DesiredRecord>,
  target: Target,
  field: string
): Result.Result<ReadonlyArray<DesiredRecord>, PlanProblem> => {
  for (const [index, record] of records.entries()) {
    const complain = (part: string, message: string) => Result.fail<PlanProblem>({ field: `${field}[${index}].${part}`, message })
    if (record.host !== target.apex && !record.host.endsWith(`.${target.apex}`)) return complain("host", `must lie within ${target.apex}`)
    if (record.value.trim() === "") return complain("value", "must not be empty")
    if (!Number.isInteger(record.ttl) || record.ttl < 0 || record.ttl > 2 ** 31 - 1) return complain("ttl", "must be whole seconds")
    if (record.type !== "CNAME") continue
    if (record.host === target.apex) return complain("type", "a CNAME can't stand at an apex; use A, AAAA or ALIAS")
    if (records.some((other) => other !== record && other.host === record.host)) {
      return complain("type", "a CNAME can't stand beside another record of its name")
    }
  }
  return Result.succeed(records)
}
