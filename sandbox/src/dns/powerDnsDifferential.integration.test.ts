/** The same requests to the sandbox's API and to a real PowerDNS must be answered alike, and so must DNS questions about the result. */

import { createSocket } from "node:dgram"
import { type PowerDnsServer, startPowerDns } from "@connect-domain/dns-provider/testing/startPowerDns.ts"
import { decode, encode, type RecordType } from "dns-packet"
import { afterAll, beforeAll, expect, test } from "vitest"
import { DnsServer } from "./DnsServer.ts"
import { PowerDnsApi } from "./PowerDnsApi.ts"
import { ZoneStore } from "./ZoneStore.ts"

type Place = { readonly url: string; readonly key: string; readonly dnsPort: number }
let real: PowerDnsServer
let places: readonly [Place, Place]
let stop: () => Promise<unknown>

beforeAll(async () => {
  real = await startPowerDns()
  const store = new ZoneStore()
  const dns = new DnsServer(store)
  const api = new PowerDnsApi({ store, dns, apiKey: "k" })
  const dnsPort = await dns.listen("127.0.0.1", 0)
  const url = `http://127.0.0.1:${await api.listen("127.0.0.1", 0)}`
  places = [
    { url, key: "k", dnsPort },
    { url: real.url, key: real.apiKey, dnsPort: real.dnsPort }
  ]
  stop = () => Promise.all([dns.close(), api.close(), real.close()])
})
afterAll(() => stop())

type Request = readonly [method: string, path: string, body?: unknown]
const zones = "/api/v1/servers/localhost/zones"
const acme = `${zones}/acme.test.`
const put = (name: string, type: string, contents: ReadonlyArray<string>, more: object = {}) => ({
  name,
  type,
  ttl: 300,
  changetype: "REPLACE",
  records: contents.map((content) => ({ content, disabled: false })),
  ...more
})
const patch = (...rrsets: ReadonlyArray<unknown>): Request => ["PATCH", acme, { rrsets }]

/** The order of sets and records is the database's own; serials depend on the day only, and are compared. */
const inOrder = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(inOrder).sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))
  if (typeof value !== "object" || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, inner]) => [key, inOrder(inner)])
  )
}

const send = async (place: Place, [method, path, body]: Request) => {
  const init = {
    method,
    headers: { "x-api-key": place.key },
    ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) })
  }
  const response = await fetch(place.url + path, init)
  const text = await response.text()
  const type = response.status === 204 ? null : response.headers.get("content-type")
  return {
    request: `${method} ${path} ${JSON.stringify(body)}`,
    status: response.status,
    type,
    body: type === "application/json" ? inOrder(JSON.parse(text)) : text.trim()
  }
}

const requests: ReadonlyArray<Request> = [
  ["GET", "/api/v1/servers"],
  ["GET", "/api/v1/servers/localhost"],
  ["GET", "/api/v1/servers/other"],
  ["GET", "/api/v1/servers/other/zones"],
  ["GET", zones],
  ["POST", zones, { name: "acme.test.", kind: "Native", nameservers: ["ns1.acme.test.", "ns2.acme.test."] }],
  ["POST", zones, { name: "acme.test.", kind: "Native" }],
  ["POST", zones, { name: "acme.test.", kind: "Unheard" }],
  ["POST", zones, { name: "other.test", kind: "Native" }],
  ["POST", zones, { name: "other.test.", kind: "Native", nameservers: ["ns1.acme.test"] }],
  ["POST", zones, { name: "other.test." }],
  ["POST", zones, { kind: "Native" }],
  ["POST", zones, "{bad"],
  [
    "POST",
    zones,
    { name: "Other.test.", kind: "Native", nameservers: ["ns1.acme.test."], rrsets: [put("www.other.test.", "A", ["192.0.2.1"])] }
  ],
  ["GET", zones],
  ["GET", `${zones}?zone=acme.test.`],
  ["GET", `${zones}?zone=nope.test.`],
  ["GET", `${zones}?zone=acme.test`],
  ["GET", `${zones}/ACME.test`],
  ["GET", `${acme}?rrsets=false`],
  patch(put("www.acme.test.", "A", ["192.0.2.1", "192.0.2.2"])),
  patch(put("WWW.acme.test.", "AAAA", ["2001:db8::1"])),
  ["GET", `${acme}?rrset_name=www.acme.test.&rrset_type=A`],
  ["GET", `${acme}?rrset_name=www.acme.test`],
  ["GET", `${acme}?rrset_name=nope.acme.test.`],
  ["GET", `${acme}?rrset_type=A`],
  patch(put("www.acme.test.", "CNAME", ["x.test."])),
  patch(put("www.acme.test", "A", ["192.0.2.1"])),
  patch(put("www.other.test.", "A", ["192.0.2.1"])),
  patch(put("www.acme.test.", "A", ["192.0.2.999"])),
  patch(put("t.acme.test.", "TXT", ["unquoted"])),
  patch(put("t.acme.test.", "TXT", ['"quo ted"', '"two" "strings"', '"back\\\\slash \\"and\\" \\195\\164"'])),
  patch(put("c.acme.test.", "CNAME", ["nodot.test"])),
  patch(put("c.acme.test.", "CNAME", ["a.test.", "b.test."])),
  patch(put("c.acme.test.", "A", ["1.2.3.4", "1.2.3.4"])),
  patch(put("c.acme.test.", "CNAME", ["www.acme.test."])),
  patch(put("c2.acme.test.", "CNAME", ["c.acme.test."])),
  patch(put("dangling.acme.test.", "CNAME", ["nope.acme.test."])),
  patch(put("c.acme.test.", "TXT", ['"beside a CNAME"'])),
  patch(put("m.acme.test.", "MX", ["10 mx.test.", "20 mx2.test."])),
  patch(put("m.acme.test.", "MX", ["mx.test."])),
  patch(put("acme.test.", "CAA", ['0 issue "ca.test"'])),
  patch(put("_s._tcp.acme.test.", "SRV", ["1 2 443 www.acme.test."])),
  patch(put("*.wild.acme.test.", "A", ["192.0.2.7"])),
  patch(put("a.b.wild.acme.test.", "TXT", ['"x"'])),
  patch(put("w.acme.test.", "BLA", ["x"])),
  patch({ ...put("w.acme.test.", "A", ["1.2.3.4"]), ttl: undefined }),
  patch(put("w.acme.test.", "A", ["1.2.3.4"], { changetype: "FOO" })),
  patch(put("w.acme.test.", "A", ["1.2.3.4"], { changetype: undefined })),
  patch({ name: "w.acme.test.", type: "A", ttl: 1, changetype: "REPLACE" }),
  patch({ name: "absent.acme.test.", type: "A", changetype: "DELETE" }),
  patch(put("www.acme.test.", "AAAA", [])),
  ["PATCH", acme, {}],
  ["PATCH", acme, "{bad"],
  patch(put("d.acme.test.", "A", ["192.0.2.1"]), put("d.acme.test.", "A", ["192.0.2.1"])),
  patch(put("d.acme.test.", "A", ["192.0.2.1"]), put("e.acme.test.", "A", ["192.0.2.999"])),
  ["GET", `${acme}?rrset_name=d.acme.test.`],
  patch(put("d.acme.test.", "A", ["192.0.2.1"])),
  patch({ name: "d.acme.test.", type: "A", changetype: "DELETE" }, put("d.acme.test.", "CNAME", ["e.test."])),
  patch({ name: "d.acme.test.", type: "CNAME", changetype: "DELETE" }, put("d.acme.test.", "A", ["192.0.2.1"])),
  patch(put("acme.test.", "CNAME", ["e.test."])),
  ["PATCH", `${zones}/nope.test.`, { rrsets: [] }],
  ["GET", `${zones}/nope.test.`],
  ["POST", acme, { kind: "Native" }],
  ["GET", `${acme}/nothing`],
  ["GET", acme],
  patch({ ...put("off.acme.test.", "A", ["192.0.2.1"]), records: [{ content: "192.0.2.1", disabled: true }, { content: "192.0.2.2" }] }),
  patch({ ...put("alloff.acme.test.", "A", ["192.0.2.1"]), records: [{ content: "192.0.2.1", disabled: true }] }),
  ["GET", `${acme}?rrset_name=off.acme.test.`],
  ["GET", `${acme}?rrset_name=alloff.acme.test.`],
  ["GET", acme],
  ["DELETE", `${zones}/other.test.`],
  ["DELETE", `${zones}/other.test.`],
  ["GET", zones]
]

test("requests are answered as by the real server", async () => {
  for (const request of requests) {
    const [ours, theirs] = await Promise.all(places.map((place) => send(place, request)))
    expect(ours).toEqual(theirs)
  }
})

test("a wrong key is refused as by the real server", async () => {
  const [ours, theirs] = await Promise.all(places.map((place) => send({ ...place, key: "wrong" }, ["GET", zones])))
  expect(ours).toEqual(theirs)
})

const ask = (port: number, name: string, type: RecordType) =>
  new Promise((resolve, reject) => {
    const socket = createSocket("udp4").on("error", reject)
    socket.on("message", (message) => {
      socket.close()
      const reply = decode(message)
      const plain = (records: typeof reply.answers) =>
        (records ?? [])
          .map((record) =>
            JSON.stringify({ ...record, flush: false }, (_, value) =>
              value?.type === "Buffer" ? Buffer.from(value.data).toString("latin1") : value
            ).toLowerCase()
          )
          .sort()
      resolve({
        name,
        type,
        rcode: (reply.flags ?? 0) & 15,
        aa: reply.flag_aa,
        answers: plain(reply.answers),
        authorities: plain(reply.authorities)
      })
    })
    socket.send(encode({ type: "query", id: 7, questions: [{ name, type }] }), port, "127.0.0.1")
  })

test("questions about the zone are answered as by the real server", async () => {
  const names = [
    "acme.test",
    "WWW.acme.test",
    "c.acme.test",
    "c2.acme.test",
    "dangling.acme.test",
    "t.acme.test",
    "m.acme.test",
    "_tcp.acme.test",
    "_s._tcp.acme.test",
    "nope.acme.test",
    "off.acme.test",
    "alloff.acme.test"
  ]
  const wild = ["wild.acme.test", "x.wild.acme.test", "x.y.wild.acme.test", "b.wild.acme.test", "x.b.wild.acme.test"]
  for (const name of [...names, ...wild]) {
    for (const type of ["A", "AAAA", "CNAME", "TXT", "MX", "CAA", "SRV", "NS", "SOA"] as const) {
      const [ours, theirs] = await Promise.all(places.map((place) => ask(place.dnsPort, name, type)))
      expect(ours).toEqual(theirs)
    }
  }
})
