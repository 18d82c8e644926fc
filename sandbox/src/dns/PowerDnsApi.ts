/**
 * The part of PowerDNS's HTTP API that DNS tools use: zones listed, made, read, changed, removed. Same paths, status codes and error
 * bodies as PowerDNS 4.7, so that what works here works against the real one.
 *
 * Owns HTTP and the API key. Leaves what is acceptable to changeRequest, storing to ZoneStore. Beside it `PUT|DELETE /sandbox/faults/{name}`
 * makes the DNS server misbehave for a name: `{"fault": "servfail" | "refused" | "silent" | "truncate"}`. The zones of the sandbox's own
 * world (root, `test.`, the edge's) are nobody's account: they are not shown here.
 */
import { timingSafeEqual } from "node:crypto"
import { once } from "node:events"
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http"
import { canonicalName, parseChange, parseZone, Unprocessable } from "./changeRequest.ts"
import type { DnsServer, Fault } from "./DnsServer.ts"
import { allSets, type RecordSet, type Zone, type ZoneStore } from "./ZoneStore.ts"

type Answer = { readonly status: number; readonly json?: unknown; readonly text?: string }
const plain = (status: number, text: string): Answer => ({ status, text })
const notFound = plain(404, "Not Found")
const notAllowed = plain(405, "Method Not Allowed")
const server = {
  autoprimaries_url: "/api/v1/servers/localhost/autoprimaries{/autoprimary}",
  config_url: "/api/v1/servers/localhost/config{/config_setting}",
  daemon_type: "authoritative",
  id: "localhost",
  type: "Server",
  url: "/api/v1/servers/localhost",
  version: "4.7.3",
  zones_url: "/api/v1/servers/localhost/zones{/zone}"
}

const listed = (zone: Zone) => ({
  account: "",
  catalog: "",
  dnssec: false,
  edited_serial: zone.serial,
  id: zone.name,
  kind: zone.kind,
  last_check: 0,
  masters: [],
  name: zone.name,
  notified_serial: 0,
  serial: zone.serial,
  url: `/api/v1/servers/localhost/zones/${zone.name}`
})

const shown = (zone: Zone, query: URLSearchParams) => {
  const name = query.get("rrset_name")
  const type = query.get("rrset_type")
  const absolute = name === null ? undefined : name.toLowerCase().replace(/\.?$/, ".")
  const sets =
    absolute === undefined
      ? allSets(zone)
      : allSets(zone)
          .filter((set) => set.name === absolute && (type === null || set.type === type))
          .flatMap(enabled)
  return {
    ...listed(zone),
    api_rectify: false,
    master_tsig_key_ids: [],
    nsec3narrow: false,
    nsec3param: "",
    slave_tsig_key_ids: [],
    soa_edit: "",
    soa_edit_api: "DEFAULT",
    ...(query.get("rrsets") === "false" ? {} : { rrsets: sets.map((set) => ({ comments: [], ...set })) })
  }
}

/** The real server looks at the type only beside a name, and then leaves disabled records out. */
const enabled = (set: RecordSet): ReadonlyArray<RecordSet> => {
  const records = set.records.filter((record) => !record.disabled)
  return records.length === 0 ? [] : [{ ...set, records }]
}

export class PowerDnsApi {
  readonly #store: ZoneStore
  readonly #dns: DnsServer
  readonly #key: Buffer
  #http: Server | undefined

  constructor(options: { readonly store: ZoneStore; readonly dns: DnsServer; readonly apiKey: string }) {
    this.#store = options.store
    this.#dns = options.dns
    this.#key = Buffer.from(options.apiKey)
  }

  /** Listens; port 0 takes a free one. Returns the port. */
  async listen(host: string, port: number): Promise<number> {
    this.#http = createServer((request, response) => void this.#serve(request, response))
    this.#http.listen(port, host)
    await once(this.#http, "listening")
    return (this.#http.address() as { port: number }).port
  }

  async close(): Promise<void> {
    this.#http?.closeAllConnections()
    await new Promise((resolve) => (this.#http ? this.#http.close(resolve) : resolve(undefined)))
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let answer: Answer
    try {
      const chunks: Array<Buffer> = []
      for await (const chunk of request) chunks.push(chunk as Buffer)
      answer = this.#answer(request, Buffer.concat(chunks).toString())
    } catch (error) {
      if (!(error instanceof Unprocessable)) console.error(error)
      answer = error instanceof Unprocessable ? { status: 422, json: { error: error.message } } : plain(500, "Internal Server Error")
    }
    const json = answer.json !== undefined
    const body = json ? JSON.stringify(answer.json) : (answer.text ?? "")
    const type = json ? "application/json" : "text/plain; charset=utf-8"
    response.writeHead(answer.status, answer.status === 204 ? {} : { "content-type": type, "content-length": Buffer.byteLength(body) })
    response.end(body)
  }

  #answer(request: IncomingMessage, body: string): Answer {
    const given = Buffer.from(String(request.headers["x-api-key"] ?? ""))
    if (given.length !== this.#key.length || !timingSafeEqual(given, this.#key)) return plain(401, "Unauthorized")
    const url = new URL(request.url ?? "/", "http://sandbox")
    const path = url.pathname.split("/").slice(1).map(decodeURIComponent)
    if (path[0] === "sandbox" && path[1] === "faults") return this.#fault(request.method ?? "GET", path[2], body)
    if (path[0] !== "api" || path[1] !== "v1" || path[2] !== "servers") return notFound
    if (path.length === 3) return { status: 200, json: [server] }
    if (path[3] !== "localhost") return notFound
    if (path.length === 4) return { status: 200, json: server }
    if (path[4] !== "zones" || path.length > 6) return notFound
    return path[5] === undefined
      ? this.#zones(request.method ?? "GET", url.searchParams, body)
      : this.#zone(request.method ?? "GET", path[5], url.searchParams, body)
  }

  #users(): ReadonlyArray<Zone> {
    return [...this.#store.zones.values()].filter((zone) => !zone.builtIn)
  }

  #zones(method: string, query: URLSearchParams, body: string): Answer {
    if (method === "GET") {
      const one = query.get("zone")
      if (one === null) return { status: 200, json: this.#users().map(listed) }
      const zone = this.#store.zones.get(canonicalName(one))
      return { status: 200, json: zone && !zone.builtIn ? [listed(zone)] : [] }
    }
    if (method !== "POST") return notAllowed
    const given = parseJson(body)
    if (given === undefined) return plain(400, "Bad Request")
    const wanted = parseZone(given)
    if (this.#store.zones.has(wanted.name)) return plain(409, "Conflict")
    const zone = this.#store.create(wanted.name, wanted.kind, wanted.sets())
    return { status: 201, json: shown(zone, new URLSearchParams()) }
  }

  #zone(method: string, id: string, query: URLSearchParams, body: string): Answer {
    const zone = this.#store.zones.get(id.toLowerCase().replace(/\.?$/, "."))
    if (!zone || zone.builtIn) return notFound
    if (method === "GET") return { status: 200, json: shown(zone, query) }
    if (method === "DELETE") {
      this.#store.remove(zone)
      return { status: 204 }
    }
    if (method !== "PATCH") return notAllowed
    const given = parseJson(body)
    if (given === undefined) return plain(400, "Bad Request")
    this.#store.change(zone, parseChange(zone, given))
    return { status: 204 }
  }

  #fault(method: string, name: string | undefined, body: string): Answer {
    if (name === undefined || (method !== "PUT" && method !== "DELETE")) return notFound
    const at = name.toLowerCase().replace(/\.?$/, ".")
    if (method === "DELETE") this.#dns.faults.delete(at)
    else this.#dns.faults.set(at, (parseJson(body) as { fault: Fault }).fault)
    return { status: 204 }
  }
}

const parseJson = (body: string): unknown => {
  try {
    const value: unknown = JSON.parse(body)
    return typeof value === "object" && value !== null ? value : undefined
  } catch {
    return undefined
  }
}
