/**
 * One process of `registry.ts`: `registryProcess.ts <compact|map|serve> <hosts> <folder>`, run with --expose-gc. Tells its parent what it measured.
 *
 * Each host has a leaf of its own of about 1 KiB, made to the measure of a public CA's (what is unique in one is random here), a key that is sealed by
 * itself, and ids of its own; all share an intermediate. One more name has a real certificate, so that a handshake can prove that it is served.
 */
import { randomBytes } from "node:crypto"
import { join } from "node:path"
import { monitorEventLoopDelay } from "node:perf_hooks"
import { makeAddressPolicy } from "@connect-domain/egress/AddressPolicy.ts"
import type { CertificateEntry, HostnameEntry } from "@connect-domain/messages/buckets.ts"
import { Router } from "@connect-domain/router/Router.ts"
import { writeBase } from "@connect-domain/router/registry/baseFile.ts"
import { Registry } from "@connect-domain/router/registry/Registry.ts"
import { Snapshot } from "@connect-domain/router/registry/Snapshot.ts"
import { idOf, numberedEntry } from "@connect-domain/router/testing/entries.ts"
import { certificateEntry, makeAuthority, testVault } from "@connect-domain/router/testing/TestEdge.ts"

const [mode, count, folder] = process.argv.slice(2) as ["compact" | "map" | "serve", string, string]
const hosts = Number(count)
const tell = (result: object) => process.send?.(result)
const pause = () => new Promise((resolve) => setImmediate(resolve))
const rss = () => Math.round(process.memoryUsage().rss / 1024 / 1024)

/** What all leaves of an issuer share, and how long the runs are in which each differs: serial, key, key id, two SCTs, signature. */
const common = [90, 110, 140, 120, 60, 50].map((length) => randomBytes(length))
const own = [18, 65, 20, 80, 80, 71]
const leafOf = (hostname: string) => {
  const name = Buffer.from(hostname)
  return Buffer.concat([...common.flatMap((bytes, at) => [bytes, randomBytes(own[at]!)]), name, name])
}
const pem = (der: Buffer) => `-----BEGIN CERTIFICATE-----\n${der.toString("base64").replace(/.{64}/g, "$&\n")}\n-----END CERTIFICATE-----\n`

const authority = await makeAuthority()
const { key } = await authority.issue(["any.example.org"])
const hostOf = (at: number) => `shop-${at}.customer${at % 1000}.example.com`
const certificateOf = (at: number): CertificateEntry => {
  const id = idOf(5, at)
  const place = { tenant: idOf(4, at), table: "certificates", column: "key", row: id }
  return {
    ...{ certificate_id: id, claim_id: idOf(4, at), hostnames: [hostOf(at)], chain: pem(leafOf(hostOf(at))) + authority.pem },
    ...{ sealed_key: testVault.seal(key, place), serial: randomBytes(18).toString("hex") },
    ...{ not_before: "2026-11-01T00:00:00.000Z", not_after: "2027-01-30T00:00:00.000Z" }
  }
}

/** Milliseconds of full collections, sorted. */
const collections = (): ReadonlyArray<number> =>
  Array.from({ length: 7 }, () => {
    const began = performance.now()
    globalThis.gc?.()
    return performance.now() - began
  }).sort((a, b) => a - b)

const fill = async (put: (certificate: CertificateEntry, entry: HostnameEntry) => void) => {
  const puts = new Float64Array(hosts)
  for (let at = 0; at < hosts; at++) {
    const certificate = certificateOf(at)
    const entry = numberedEntry(at, hostOf(at))
    // CPU time of this thread: other work of the machine is none of the registry's.
    const before = process.threadCpuUsage()
    put(certificate, entry)
    const { user, system } = process.threadCpuUsage(before)
    puts[at] = user + system
    if (at % 200 === 0) await pause()
  }
  return { put_us: puts.reduce((sum, each) => sum + each, 0) / hosts, put_max_ms: puts.reduce((a, b) => Math.max(a, b)) / 1000 }
}

const compact = async () => {
  const registry = new Registry()
  registry.putCertificate(await certificateEntry(authority, ["real.example.org"], { certificate_id: "real", claim_id: "real" }))
  registry.putHostname(numberedEntry(1, "real.example.org", { certificate_id: "real", claim_id: "real" }), 1)
  const puts = await fill((certificate, entry) => {
    registry.putCertificate(certificate)
    registry.putHostname(entry, entry.version)
  })
  const gc = collections()
  const measured = { rss: rss(), gc_median: gc[3], gc_max: gc[6], pages: Math.round(registry.holdings.bytes / 1024 / 1024) }
  const began = performance.now()
  for (let at = 0; at < 1_000_000; at++) registry.find(hostOf((at * 7919) % hosts))
  const find_us = performance.now() - began
  const hot = performance.now()
  for (let at = 0; at < 10_000_000; at++) registry.find("real.example.org")
  const find_hot_ns = (performance.now() - hot) / 10
  const delay = monitorEventLoopDelay({ resolution: 5 })
  delay.enable()
  const wrote = performance.now()
  const bytes = await writeBase(join(folder, "base.bin"), registry.holdings, 2, new AbortController().signal)
  const snapshot = {
    base_mib: Math.round(bytes / 1024 / 1024),
    write_ms: performance.now() - wrote,
    write_delay_p99_ms: delay.percentile(99) / 1e6
  }
  tell({ ...puts, ...measured, find_us: find_us / 1000, find_hot_ns, ...snapshot, write_delay_max_ms: delay.max / 1e6 })
}

const map = async () => {
  const held = new Map<string, HostnameEntry>()
  const certificates = new Map<string, CertificateEntry>()
  const puts = await fill((certificate, entry) => {
    // As they come off the wire: strings of their own.
    certificates.set(certificate.certificate_id, JSON.parse(JSON.stringify(certificate)))
    held.set(entry.hostname, JSON.parse(JSON.stringify(entry)))
  })
  const gc = collections()
  tell({ ...puts, rss: rss(), gc_median: gc[3], gc_max: gc[6], kept: held.size + certificates.size })
}

const serve = async () => {
  const registry = new Registry()
  const { problems } = await new Snapshot(folder, registry).load()
  const router = new Router({ registry, vault: testVault, policy: makeAddressPolicy([]) })
  const { https } = await router.start({ host: "127.0.0.1", port: 0 }, { host: "127.0.0.1", port: 0 })
  tell({ https, problems, hostnames: registry.size })
  process.once("message", () => {
    const gc = collections()
    tell({ rss: rss(), gc_median: gc[3], gc_max: gc[6] })
  })
}

await { compact, map, serve }[mode]()
