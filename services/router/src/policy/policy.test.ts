import { readPrefix } from "@connect-domain/domain/originPrefix.ts"
import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import type { RequestHead } from "../http1/requestHead.ts"
import { readOrigin } from "../origin/Origin.ts"
import { Registry } from "../registry/Registry.ts"
import { requestIdOf } from "../testing/requestIdOf.ts"
import { hostnameEntry } from "../testing/TestEdge.ts"
import { readProxyHeader } from "../tls/proxyProtocol.ts"
import { Applications } from "./Applications.ts"
import { decidePolicy } from "./decidePolicy.ts"
import { contentSecurityPolicy, fillPage, policyAnswer } from "./errorPage.ts"
import { withHsts } from "./hsts.ts"
import { joinPath, leavesPrefix } from "./originPath.ts"
import { noPolicy } from "./Policy.ts"
import { proxyPreface } from "./proxyPreface.ts"
import { locationOf } from "./redirects.ts"

const application = (fields: object = {}) => ({
  ...{ application_id: "app-1", tenant_id: "tenant-1", origin: null, flags: {}, error_page: null },
  ...fields
})
const hsts = { max_age: 60, include_subdomains: true, preload: false }

describe("a hostname's policy", () => {
  it("is one object for all that set nothing, also when the application only has an origin", () => {
    const applications = new Applications()
    expect(applications.policyOf(hostnameEntry("a.test"))).toBe(noPolicy)
    applications.put(application({ origin: "https://o.test" }))
    const entry = hostnameEntry("a.test", { flags: { origin: "application" }, origin: "https://old.test" })
    expect(applications.policyOf(entry)).toBe(noPolicy)
    expect(applications.originOf(entry)).toBe("https://o.test")
    expect(applications.originOf({ ...entry, flags: {} })).toBe("https://old.test")
    expect(applications.originOf({ ...entry, application_id: "never-read" })).toBe("https://old.test")
  })

  it("takes each setting from the hostname, else from the application; false is a setting", () => {
    const applications = new Applications()
    applications.put(application({ flags: { hsts, maintenance: { retry_after: 9 }, proxy_protocol: "v2", limits: { connections: 4 } } }))
    const own = { maintenance: false, limits: { requests_per_second: 1 }, host_header: "origin" }
    const policy = applications.policyOf(hostnameEntry("a.test", { flags: own }))
    expect(policy).toMatchObject({ maintenance: undefined, proxyProtocol: "v2", limits: { requests_per_second: 1 }, hostOfOrigin: true })
    expect(policy.hsts).toBe("Strict-Transport-Security: max-age=60; includeSubDomains\r\n")
    expect(applications.policyOf(hostnameEntry("b.test", { flags: own })).limits).toEqual({ requests_per_second: 1 })
  })

  it("follows a change of the application at once, and forgets a deleted one", () => {
    const applications = new Applications()
    const flags = { host_header: "origin" }
    const entry = hostnameEntry("a.test", { flags })
    applications.put(application({ flags: { hsts } }))
    expect(applications.policyOf(entry).hsts).not.toBe("")
    applications.put(application())
    expect(applications.policyOf(entry).hsts).toBe("")
    applications.put(application({ flags: { hsts } }))
    applications.delete("app-1")
    expect(applications.policyOf(entry)).toMatchObject({ hsts: "", hostOfOrigin: true })
  })

  it("leaves out what it does not understand and keeps the rest", () => {
    const flags = { hsts: "yes", redirect_to: { hostname: 7 }, maintenance: { retry_after: 5 }, of_tomorrow: true, proxy_protocol: "v3" }
    const policy = new Applications().policyOf(hostnameEntry("a.test", { flags }))
    expect(policy).toEqual({ ...noPolicy, maintenance: { retry_after: 5 } })
  })
})

it("E17: no flags, however strange, end anything or leave a request without an answer", () => {
  const value = fc.oneof(fc.jsonValue(), fc.constantFrom("www", "apex", "v1", "v2", "origin", "application", false, true))
  const names = ["redirect_to", "hsts", "maintenance", "proxy_protocol", "limits", "host_header", "origin", "__proto__", "constructor"]
  const strange = fc.dictionary(fc.constantFrom(...names, "hostname"), value)
  const nearly = fc.record({
    redirect_to: fc.record({ hostname: fc.string(), path: fc.string(), status: fc.constantFrom(301, 308, 200), keep_path: fc.boolean() }),
    maintenance: fc.record({ retry_after: fc.double() })
  })
  const head = { host: "a.test", port: "", target: "/", accept: "" } as RequestHead
  fc.assert(
    fc.property(fc.oneof(strange, nearly), fc.oneof(strange, nearly), (own, theirs) => {
      const applications = new Applications()
      applications.put(application({ flags: theirs, error_page: "{status}" }))
      const entry = hostnameEntry("a.test", { flags: own as never })
      const policy = applications.policyOf(entry)
      const decided = decidePolicy({ table: new Registry(), applications }, entry, policy, head, requestIdOf("id"))
      if (decided === undefined) expect(policy.maintenance).toBeUndefined()
      else expect([301, 302, 307, 308, 503]).toContain(decided.answer.status)
    })
  )
})

describe("redirects", () => {
  const setting = (fields: object = {}) => ({ status: 308 as const, keep_path: true, hostname: "www", ...fields })
  const head = (host: string, target = "/p?q=1", port = "") => ({ host, target, port }) as RequestHead

  const world = (names: Readonly<Record<string, object | null>>) => {
    const registry = new Registry()
    const applications = new Applications()
    let revision = 0
    for (const [name, redirect_to] of Object.entries(names)) {
      const id = `certificate-${name}`
      registry.putCertificate({
        ...{ certificate_id: id, claim_id: `claim-${name}`, hostnames: [name], chain: "", sealed_key: "", serial: "" },
        ...{ not_before: "", not_after: "" }
      })
      const flags = redirect_to === null ? {} : { redirect_to: redirect_to as never }
      const application_id = name.includes("foreign") ? "app-2" : "app-1"
      registry.putHostname(hostnameEntry(name, { certificate_id: id, application_id, flags }), ++revision)
    }
    return (host: string, target?: string, port?: string) => {
      const entry = registry.find(host)!
      const { redirect } = applications.policyOf(entry)
      return redirect === undefined ? undefined : locationOf({ table: registry, applications }, entry, redirect, head(host, target, port))
    }
  }

  it("lead between a name and its www name, with path, query and the port that the visitor used", () => {
    const ask = world({ "x.test": setting(), "www.x.test": null, "www.y.test": setting({ hostname: "apex" }), "y.test": null })
    expect(ask("x.test")).toBe("https://www.x.test/p?q=1")
    expect(ask("x.test", "*", "8443")).toBe("https://www.x.test:8443/")
    expect(ask("www.y.test", "/")).toBe("https://y.test/")
    expect(ask("www.x.test")).toBeUndefined()
  })

  it("to a sibling wait until it is held by the same application and can be served", () => {
    expect(world({ "x.test": setting() })("x.test")).toBeUndefined()
    expect(world({ "foreign.test": setting(), "www.foreign.test": null })("foreign.test")).toBe("https://www.foreign.test/p?q=1")
    const registry = new Registry()
    const entry = hostnameEntry("x.test", { flags: { redirect_to: setting() } })
    registry.putHostname(entry, 1)
    registry.putHostname(hostnameEntry("www.x.test"), 2)
    expect(locationOf({ table: registry, applications: new Applications() }, entry, setting(), head("x.test"))).toBeUndefined()
    const elsewhere = hostnameEntry("www.x.test", { application_id: "app-2", certificate_id: "c" })
    registry.putHostname(elsewhere, 3)
    expect(locationOf({ table: registry, applications: new Applications() }, entry, setting(), head("x.test"))).toBeUndefined()
  })

  it("to anywhere else take the target's port and path, and drop the request's path when told to", () => {
    const elsewhere = setting({ hostname: "new.test:8443", path: "/shop" })
    expect(world({ "x.test": elsewhere })("x.test")).toBe("https://new.test:8443/shop/p?q=1")
    expect(world({ "x.test": { ...elsewhere, keep_path: false } })("x.test")).toBe("https://new.test:8443/shop")
    expect(world({ "x.test": setting({ hostname: "new.test", keep_path: false }) })("x.test")).toBe("https://new.test/")
  })

  it("never lead in a circle, however long", () => {
    const to = (hostname: string) => setting({ hostname })
    expect(world({ "x.test": to("x.test") })("x.test")).toBeUndefined()
    const circle = world({ "a.test": to("b.test"), "b.test": to("c.test"), "c.test": to("a.test"), "d.test": to("a.test") })
    for (const name of ["a.test", "b.test", "c.test"]) expect(circle(name)).toBeUndefined()
    const both = world({ "x.test": setting(), "www.x.test": setting({ hostname: "apex" }) })
    expect([both("x.test"), both("www.x.test")]).toEqual([undefined, undefined])
  })
})

describe("error pages", () => {
  const asked = { host: "shop.test", accept: "text/html" }

  it("fill the vendor's template with escaped values and nothing else", () => {
    const values = { status: 502, title: "<b>", message: `"'&\``, request_id: "{status}", hostname: "a.test" }
    expect(fillPage("a{margin:0}{status}|{title}|{message}|{request_id}|{hostname}|{other}|{status }|$&", values)).toBe(
      "a{margin:0}502|&lt;b&gt;|&quot;&#39;&amp;&#96;|{status}|a.test|{other}|{status }|$&"
    )
  })

  it("are the vendor's for people and JSON for programs, with HSTS on both and no script allowed", () => {
    const policy = { ...noPolicy, page: "<p>{status} {request_id}", hsts: "Strict-Transport-Security: max-age=1\r\n" }
    const page = policyAnswer(policy, asked, 504, requestIdOf("id-1"))
    expect([page.body, page.contentType]).toEqual(["<p>504 id-1", "text/html; charset=utf-8"])
    expect(page.headers).toContain("Cache-Control: no-store\r\n")
    expect(page.headers).toContain(policy.hsts)
    expect(page.headers).toContain("default-src 'none'")
    expect(contentSecurityPolicy).not.toContain("script-src")
    const json = policyAnswer(policy, { ...asked, accept: "application/json" }, 504, requestIdOf("id-1"), {
      title: "Maintenance",
      retryAfter: 7
    })
    expect(JSON.parse(json.body).error).toMatchObject({ code: "maintenance", request_id: "id-1" })
    expect(json.headers).toBe(`Retry-After: 7\r\nCache-Control: no-store\r\n${policy.hsts}`)
  })

  it("are the edge's own without settings", () => {
    const { body, headers } = policyAnswer(noPolicy, asked, 503, requestIdOf("id-1"))
    expect(body).toContain("id-1")
    expect(headers).toBe("Retry-After: 5\r\nCache-Control: no-store\r\n")
  })
})

it("HSTS replaces the origin's, however that spells it", () => {
  const line = "Strict-Transport-Security: max-age=1\r\n"
  expect(withHsts("A: b\r\n", line)).toBe(`A: b\r\n${line}`)
  const theirs = "STRICT-transport-security : max-age=9\r\nA: b\r\nstrict-transport-security:x\r\nX: strict-transport-security: y\r\n"
  expect(withHsts(theirs, line)).toBe(`A: b\r\nX: strict-transport-security: y\r\n${line}`)
  expect(withHsts(theirs, "")).toBe(theirs)
})

describe("origins with a path", () => {
  it("keep a plain prefix, without slash at its end", () => {
    expect(readOrigin("t", "https://o.test:8443/tenants/x/")).toMatchObject({ prefix: "/tenants/x", authority: "o.test:8443", port: 8443 })
    expect(readOrigin("t", "http://[2001:db8::1]:81")).toMatchObject({ prefix: "", host: "2001:db8::1", authority: "[2001:db8::1]:81" })
    for (const path of ["/a;b", "/a/%2e%2e/b", "/a//b", "/a b", "/..", "/./a", "/a\\b"]) expect(readPrefix(path), path).toBeUndefined()
    for (const url of ["https://o.test/?a", "https://o.test/#a", "https://u@o.test/", "ftp://o.test/"]) {
      expect(readOrigin("t", url), url).toBeUndefined()
    }
    expect(joinPath("/x", "/p?q=/../")).toBe("/x/p?q=/../")
    expect(joinPath("/x", "*")).toBe("/x/")
  })

  it("are not left by any spelling of `..`", () => {
    const spellings = ["/..", "/a/../b", "/a/..;p=1/b", "/%2e%2e/", "/.%2E/", "/%252e%252e/", "/..%2f..%2f", "/..%5cx", "/a%5c..%5cb"]
    for (const spelling of spellings) expect(leavesPrefix(spelling), spelling).toBe(true)
    for (const fine of ["/", "/a/.../b", "/a..b", "/a?x=/../", "/%25", "/a%2fb", "/.well-known/x"])
      expect(leavesPrefix(fine), fine).toBe(false)
  })

  it("hold every path that a strict reader resolves below the prefix", () => {
    const segment = fc.constantFrom("a", "..", ".", "%2e%2e", "..;x", "", "%2e", "b%2f..", "...")
    fc.assert(
      fc.property(fc.array(segment, { maxLength: 6 }), (segments) => {
        const target = `/${segments.join("/")}`
        if (leavesPrefix(target)) return
        const resolved = new URL(`https://o.test${joinPath("/tenants/x", target)}`).pathname
        expect(resolved.startsWith("/tenants/x/")).toBe(true)
      })
    )
  })
})

describe("PROXY headers for origins", () => {
  const ends = { remoteAddress: "::ffff:192.0.2.7", remotePort: 51234, localAddress: "198.51.100.1", localPort: 443 }

  it("say what our own reader reads, in both versions", () => {
    expect(proxyPreface("v1", "192.0.2.7", ends).toString()).toBe("PROXY TCP4 192.0.2.7 198.51.100.1 51234 443\r\n")
    const binary = proxyPreface("v2", "192.0.2.7", ends)
    expect(readProxyHeader(binary)).toEqual({ address: "192.0.2.7", length: binary.length })
    expect([binary.readUInt16BE(24), binary.readUInt16BE(26)]).toEqual([51234, 443])
    const six = { remoteAddress: "2001:db8::7", remotePort: 1, localAddress: "2001:db8::1", localPort: 443 }
    expect(proxyPreface("v1", "2001:db8::7", six).toString()).toBe("PROXY TCP6 2001:db8::7 2001:db8::1 1 443\r\n")
    expect(readProxyHeader(proxyPreface("v2", "2001:db8::7", six))).toMatchObject({ address: "2001:db8::7" })
  })

  it("know no port behind a balancer, mix families as IPv6, and say so when the client is unknown", () => {
    expect(proxyPreface("v1", "203.0.113.9", ends).toString()).toBe("PROXY TCP4 203.0.113.9 198.51.100.1 0 443\r\n")
    expect(proxyPreface("v1", "2001:db8::7", ends).toString()).toBe("PROXY TCP6 2001:db8::7 ::ffff:c633:6401 0 443\r\n")
    expect(readProxyHeader(proxyPreface("v2", "2001:db8::7", ends))).toMatchObject({ address: "2001:db8::7" })
    const sixHere = { ...ends, localAddress: "2001:db8::1" }
    expect(proxyPreface("v1", "192.0.2.7", sixHere).toString()).toBe("PROXY TCP6 ::ffff:c000:0207 2001:db8::1 51234 443\r\n")
    for (const version of ["v1", "v2"] as const)
      expect(readProxyHeader(proxyPreface(version, "192.0.2.7", sixHere))).toMatchObject({ address: "192.0.2.7" })
    expect(proxyPreface("v1", "fe80::7%3", { ...sixHere, localAddress: "fe80::1%3" }).toString()).toBe(
      "PROXY TCP6 fe80::7 fe80::1 0 443\r\n"
    )
    expect(readProxyHeader(proxyPreface("v1", "", undefined))).toMatchObject({ address: "" })
    expect(readProxyHeader(proxyPreface("v2", "", undefined))).toMatchObject({ address: "" })
  })
})
