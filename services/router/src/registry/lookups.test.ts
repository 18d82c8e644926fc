/** Look-ups beside a naive oracle that tries every entry, and the rules for certificates. */
import { parseHostname } from "@connect-domain/domain/Hostname.ts"
import type { CertificateEntry, HostnameEntry } from "@connect-domain/messages/buckets.ts"
import { Result } from "effect"
import fc from "fast-check"
import { beforeAll, describe, expect, it } from "vitest"
import { canonicalHost } from "../http1/HostNames.ts"
import { numberedEntry } from "../testing/entries.ts"
import { certificateEntry, makeAuthority, type TestAuthority } from "../testing/TestEdge.ts"
import { Registry } from "./Registry.ts"
import { canonicalChain } from "./store/certificateRecord.ts"

/** D8 said as plainly as can be. */
const naiveFind = (entries: ReadonlyMap<string, HostnameEntry>, host: string): HostnameEntry | undefined => {
  const held = [...entries.values()].filter((entry) => entry.status === "held")
  const labels = host.split(".")
  const covers = (pattern: ReadonlyArray<string>) =>
    pattern[0] === "*" && pattern.length === labels.length && pattern.slice(1).join(".") === labels.slice(1).join(".")
  return held.find((entry) => entry.hostname === host) ?? held.find((entry) => covers(entry.hostname.split(".")))
}

const label = fc.constantFrom("a", "b", "www", "xn--bcher-kva", "x-1")
const name = fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => [...labels, "test"].join("."))
const heldName = fc.tuple(fc.boolean(), name).map(([wildcard, each]) => (wildcard ? `*.${each}` : each))

describe("D8: wildcards", () => {
  it("answers as an oracle that tries every entry, for all interleavings of held, released and dropped names", () => {
    const change = fc.record({
      hostname: heldName,
      status: fc.constantFrom("held", "held", "released"),
      age: fc.integer({ min: -2, max: 3 })
    })
    fc.assert(
      fc.property(
        fc.array(change, { maxLength: 40 }),
        fc.array(name, { maxLength: 20 }),
        fc.array(name, { maxLength: 20 }),
        (changes, before, after) => {
          const registry = new Registry()
          const oracle = new Map<string, HostnameEntry>()
          const same = (hosts: ReadonlyArray<string>) => {
            for (const host of hosts) expect(registry.find(host)).toEqual(naiveFind(oracle, host))
          }
          changes.forEach(({ hostname, status, age }, at) => {
            // An answer that was given is remembered decoded: it must not outlive the entry.
            same(before.slice(0, 3))
            const entry = numberedEntry(at, hostname, {
              status: status as "held",
              version: at + age,
              certificate_id: null,
              flags: { hsts: false }
            })
            if (entry.version < 0) return
            registry.putHostname(entry, at + 1)
            const known = oracle.get(hostname)
            if (known === undefined || known.version <= entry.version) oracle.set(hostname, entry)
          })
          same([...before, ...after, ...oracle.keys()])
          expect(registry.size).toBe([...oracle.values()].filter((entry) => entry.status === "held").length)
        }
      ),
      { numRuns: 500 }
    )
  })

  it("covers exactly one label; an exact name of somebody else wins; a released one shadows nothing", () => {
    const registry = new Registry()
    registry.putHostname(numberedEntry(1, "*.x.test"), 1)
    registry.putHostname(numberedEntry(2, "taken.x.test"), 2)
    expect(registry.find("one.x.test")?.hostname).toBe("*.x.test")
    expect(registry.find("taken.x.test")?.hostname).toBe("taken.x.test")
    expect(registry.find("x.test")).toBeUndefined()
    expect(registry.find("two.labels.x.test")).toBeUndefined()
    expect(registry.find("test")).toBeUndefined()
    expect(registry.find("")).toBeUndefined()
    registry.putHostname(numberedEntry(2, "taken.x.test", { status: "released", version: 9 }), 3)
    expect(registry.find("taken.x.test")?.hostname).toBe("*.x.test")
  })
})

describe("D6: spellings", () => {
  const few = ["shop.example.org", "xn--bcher-kva.example.org", "a.b.c.example.net", "*.wild.example.org", "xn--80ak6aa92e.test"]
  const filled = (names: ReadonlyArray<string>) => {
    const registry = new Registry()
    names.forEach((each, at) => void registry.putHostname(numberedEntry(at, each), at + 1))
    return registry
  }
  const spelled = (host: string, flips: ReadonlyArray<boolean>, dot: boolean) =>
    [...host].map((char, at) => (flips[at % flips.length] ? char.toUpperCase() : char)).join("") + (dot ? "." : "")
  const flips = fc.array(fc.boolean(), { minLength: 1, maxLength: 20 })

  it("gives the same answer over 100,000 entries as over a few, for any case, dot and IDN spelling", () => {
    const small = filled(few)
    const large = filled([...few, ...Array.from({ length: 100_000 }, (_, at) => `host-${at}.example.com`)])
    const asked = fc.constantFrom(
      ...few.filter((each) => !each.startsWith("*")),
      "one.wild.example.org",
      "two.labels.wild.example.org",
      "none.test"
    )
    fc.assert(
      fc.property(asked, flips, fc.boolean(), (host, cases, dot) => {
        const answer = (registry: Registry) => registry.find(canonicalHost(spelled(host, cases, dot)))?.hostname
        expect(answer(large)).toBe(answer(small))
        expect(answer(large)).toBe(small.find(host)?.hostname)
      }),
      { numRuns: 2000 }
    )
    for (const spelling of ["bücher.example.org", "BÜCHER.example.org.", "bu\u0308cher.example.org"]) {
      const host = Result.getOrThrow(parseHostname(spelling))
      expect(large.find(host)?.hostname).toBe("xn--bcher-kva.example.org")
    }
    fc.assert(
      fc.property(fc.nat(99_999), flips, fc.boolean(), (at, cases, dot) => {
        expect(large.find(canonicalHost(spelled(`host-${at}.example.com`, cases, dot)))?.hostname).toBe(`host-${at}.example.com`)
      }),
      { numRuns: 2000 }
    )
  })
})

describe("certificates", () => {
  let authority: TestAuthority
  const made: Array<CertificateEntry> = []
  beforeAll(async () => {
    authority = await makeAuthority()
    for (let at = 0; at < 30; at++)
      made.push(
        await certificateEntry(authority, [`n${at}.test`, `www.n${at}.test`], { certificate_id: `cert-${at}`, claim_id: `claim-${at}` })
      )
  })

  const fieldsOf = ({ certificate_id, claim_id, hostnames, chain, sealed_key, serial, not_before, not_after }: CertificateEntry) => ({
    ...{ certificate_id, claim_id, hostnames, chain: canonicalChain(chain), sealed_key, serial, not_before, not_after }
  })

  it("come back as they were put, the chain above the leaf stored once", () => {
    const registry = new Registry()
    const chained = made.map((entry, at) => (at % 2 === 0 ? entry : { ...entry, chain: `${entry.chain}\n${authority.pem}\n` }))
    const odd = { ...made[0]!, certificate_id: "odd", chain: "no PEM at all", sealed_key: "not sealed", serial: "" }
    for (const entry of [...chained, odd]) registry.putCertificate(entry)
    expect(registry.holdings.issuers.size).toBe(2)
    for (const entry of [...chained, odd]) {
      const found = registry.certificateOf(numberedEntry(1, "any.test", { certificate_id: entry.certificate_id, claim_id: entry.claim_id }))
      expect(fieldsOf(found!)).toEqual(fieldsOf(entry))
    }
    for (const entry of [...chained, odd]) registry.deleteCertificate(entry.certificate_id)
    expect(registry.holdings.certificates.size).toBe(0)
    expect(registry.holdings.issuers.size).toBe(0)
  })

  it("A13: are for their own claim only, and are destroyed once nothing is served with them", () => {
    const registry = new Registry()
    const gone: Array<string> = []
    registry.onCertificateGone = (id) => gone.push(id)
    const held = numberedEntry(1, "n1.test", { certificate_id: "cert-1", claim_id: "claim-1" })
    registry.putCertificate(made[1]!)
    registry.putHostname(held, 1)
    expect(registry.certificateOf({ ...held, claim_id: "claim-2" })).toBeUndefined()
    registry.deleteCertificate("cert-1")
    expect(registry.certificateOf(held)?.certificate_id).toBe("cert-1")
    registry.putHostname({ ...held, status: "released", version: held.version + 1 }, 2)
    expect(gone).toEqual(["cert-1"])
    expect(registry.hasCertificate("cert-1")).toBe(false)
  })

  it("that were removed while the edge was away are destroyed at the next look, those still served with stay", () => {
    const registry = new Registry()
    for (const entry of made.slice(0, 4)) registry.holdings.restore({ certificate: entry })
    registry.holdings.restore({ hostname: numberedEntry(0, "n0.test", { certificate_id: "cert-0", claim_id: "claim-0" }) })
    registry.beginCertificates()
    registry.putCertificate(made[1]!)
    registry.endCertificates()
    expect(["cert-0", "cert-1", "cert-2", "cert-3"].filter((id) => registry.hasCertificate(id))).toEqual(["cert-0", "cert-1"])
  })

  it("A13: imported ones stay while a name that only their wildcard covers is served with them, also when their bucket was made anew", async () => {
    const imported = await certificateEntry(authority, ["*.customer.test"], { certificate_id: "imported", claim_id: "claim-shop" })
    const shop = numberedEntry(1, "shop.customer.test", { certificate_id: "imported", claim_id: "claim-shop" })
    const registry = new Registry()
    const [gone, changed]: [Array<string>, Array<string>] = [[], []]
    registry.onCertificateGone = (id) => gone.push(id)
    registry.putHostname(shop, 1)
    registry.onCertificateChange = (hostname) => changed.push(hostname)
    registry.putCertificate(imported)
    // Handshakes may be waiting for it.
    expect(changed).toEqual(["shop.customer.test"])
    registry.beginCertificates()
    registry.endCertificates()
    registry.deleteCertificate("imported")
    expect([registry.certificateOf(shop)?.certificate_id, gone]).toEqual(["imported", []])
    // The name's next owner has no use for it.
    registry.putHostname({ ...shop, claim_id: "claim-next", version: shop.version + 1 }, 2)
    expect([registry.hasCertificate("imported"), gone]).toEqual([false, ["imported"]])
  })

  it("that an applied entry names and that are not here yet hold the applied revision back", () => {
    const registry = new Registry()
    registry.putHostname(numberedEntry(1, "n1.test", { certificate_id: "cert-1", claim_id: "claim-1" }), 7)
    expect([registry.appliedRevision, registry.missingCertificates(9)]).toEqual([6, ["cert-1"]])
    registry.putCertificate(made[1]!)
    expect([registry.appliedRevision, registry.missingCount]).toEqual([7, 0])
  })

  it("that never come hold back what is reported for a while only, and are told of", () => {
    const registry = new Registry()
    registry.putHostname(numberedEntry(1, "broken.test", { certificate_id: "never-comes" }), 2)
    for (let revision = 3; revision < 100; revision++)
      registry.putHostname(numberedEntry(revision, `n${revision}.test`, { certificate_id: null }), revision)
    expect([registry.appliedRevision, registry.absentCount]).toEqual([1, 0])
    for (let tries = 0; tries < 4; tries++) registry.certificateNotFound("never-comes")
    expect([registry.appliedRevision, registry.absentCount, registry.missingCount]).toEqual([99, 1, 0])
  })

  it("E16: nothing is reported of a bucket that is being read anew until it was read", () => {
    const registry = new Registry()
    registry.putHostname(numberedEntry(1, "n1.test", { certificate_id: "cert-1" }), 5000)
    registry.putChallenge({ token: "t1", hostname: "n1.test", key_authorization: "k" }, 5000)
    registry.beginHostnames()
    registry.beginChallenges()
    expect([registry.appliedRevision, registry.seen.challenges, registry.challenge("t1", "n1.test")]).toEqual([0, 0, "k"])
    // What is still missed is waited for by the new bucket's revisions.
    registry.putHostname(numberedEntry(1, "n1.test", { certificate_id: "cert-1" }), 3)
    registry.endHostnames(7)
    registry.endChallenges(1)
    expect([registry.appliedRevision, registry.seen.challenges]).toEqual([2, 1])
  })

  it("A14: a TLS-ALPN-01 challenge is found by its very host, the latest of several", () => {
    const registry = new Registry()
    const challenge = (token: string, hostname: string) => ({ token, hostname, key_authorization: "k", type: "tls-alpn-01" as const })
    registry.putChallenge(challenge("t1", "a.test"), 1)
    registry.putChallenge(challenge("t2", "a.test"), 2)
    registry.putChallenge({ token: "t3", hostname: "a.test", key_authorization: "k3" }, 3)
    expect(registry.alpnChallenge("a.test")?.token).toBe("t2")
    expect([registry.challenge("t3", "a.test"), registry.challenge("t1", "a.test"), registry.challenge("t3", "b.test")]).toEqual([
      "k3",
      undefined,
      undefined
    ])
    registry.deleteChallenge("t2", 4)
    expect(registry.alpnChallenge("a.test")?.token).toBe("t1")
    registry.beginChallenges()
    registry.endChallenges(5)
    expect(registry.alpnChallenge("a.test")).toBeUndefined()
  })
})
