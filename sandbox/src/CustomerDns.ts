/**
 * The customer's side of DNS in the sandbox: makes the zone, adds the records that a connection asks for, over PowerDNS's API.
 *
 * Owns: that dialogue. Leaves to `dns/`: answering. Built against: one request per record when ten thousand hostnames are imported.
 */
import { getDomain } from "tldts"
import { Refusal } from "./DevDirectory.ts"
import type { SandboxState } from "./StateFile.ts"

export interface WantedRecord {
  readonly host: string
  readonly type: string
  readonly value: string
  readonly ttl?: number
  readonly priority?: number | null
}

interface RecordSetChange {
  readonly name: string
  readonly type: string
  readonly ttl: number
  readonly changetype: "REPLACE" | "DELETE"
  readonly records: ReadonlyArray<{ readonly content: string; readonly disabled: false }>
}

const perRequest = 500
const targets = new Set(["CNAME", "NS", "ALIAS", "MX", "SRV"])

const content = (record: WantedRecord): string => {
  if (record.type === "TXT") return `"${record.value.replace(/(["\\])/g, "\\$1")}"`
  const value = targets.has(record.type) && !record.value.endsWith(".") ? `${record.value}.` : record.value
  return record.priority === undefined || record.priority === null ? value : `${record.priority} ${value}`
}

/** The zone a customer would have: `acme.test` for `shop.acme.test`, `acme.co.uk` for `a.b.acme.co.uk`. */
export const zoneFor = (hostname: string): string => {
  const name = hostname.replace(/^\*\./, "").replace(/\.$/, "").toLowerCase()
  const zone = getDomain(name, { validateHostname: false })
  if (zone === null) throw new Refusal(`${hostname} is not a name below a domain that can be registered.`)
  return zone
}

export class CustomerDns {
  readonly #base: string
  readonly #key: string
  readonly #zones = new Map<string, Promise<void>>()

  constructor(dns: SandboxState["dns"]) {
    this.#base = `${dns.api_url}/api/v1/servers/localhost/zones`
    this.#key = dns.api_key
  }

  async #call(method: string, path: string, body?: unknown): Promise<number> {
    const response = await fetch(`${this.#base}${path}`, {
      method,
      headers: { "x-api-key": this.#key, "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) })
    })
    const text = await response.text()
    if (response.status >= 400 && ![404, 409].includes(response.status)) {
      throw new Refusal(`The sandbox's DNS refused ${method} ${path}: ${response.status} ${text}`)
    }
    return response.status
  }

  ensureZone(zone: string): Promise<void> {
    const known = this.#zones.get(zone) ?? this.#makeZone(zone)
    this.#zones.set(zone, known)
    return known
  }

  async #makeZone(zone: string): Promise<void> {
    if ((await this.#call("GET", `/${zone}.`)) === 200) return
    await this.#call("POST", "", { name: `${zone}.`, kind: "Native", nameservers: [`ns1.${zone}.`, `ns2.${zone}.`] })
  }

  async #patch(zone: string, rrsets: ReadonlyArray<RecordSetChange>): Promise<void> {
    for (let at = 0; at < rrsets.length; at += perRequest) {
      const status = await this.#call("PATCH", `/${zone}.`, { rrsets: rrsets.slice(at, at + perRequest) })
      if (status >= 400) throw new Refusal(`The sandbox's DNS has no zone ${zone}.`)
    }
  }

  /** Puts the records' sets in the place of what stood at the same name and type. All in one zone. */
  async put(zone: string, records: ReadonlyArray<WantedRecord>): Promise<void> {
    await this.ensureZone(zone)
    const sets = Map.groupBy(records, (record) => `${record.host} ${record.type}`)
    await this.#patch(
      zone,
      [...sets.values()].map((set) => ({
        name: `${set[0]!.host}.`,
        type: set[0]!.type,
        ttl: set[0]!.ttl ?? 300,
        changetype: "REPLACE",
        records: set.map((record) => ({ content: content(record), disabled: false }))
      }))
    )
  }

  async remove(zone: string, host: string, type: string): Promise<void> {
    await this.#patch(zone, [{ name: `${host}.`, type, ttl: 300, changetype: "DELETE", records: [] }])
  }
}
