/**
 * One process of `registry.ts`: `registryProcess.ts <compact|map|serve> <hosts> <folder>`, run with --expose-gc. Tells its parent what it measured.
 *
 * What is held comes from `makeEntries.ts` as JSON and is decoded as what a watch brings.
 */
import { spawn } from "node:child_process"
import { join } from "node:path"
import { monitorEventLoopDelay } from "node:perf_hooks"
import { createInterface } from "node:readline"
import { getHeapSpaceStatistics } from "node:v8"
import { makeAddressPolicy } from "@connect-domain/egress/AddressPolicy.ts"
import { type CertificateEntry, certificates, type HostnameEntry, hostnames } from "@connect-domain/messages/buckets.ts"
import { codecOf } from "@connect-domain/nats/codec.ts"
import { Router } from "@connect-domain/router/Router.ts"
import { writeBase } from "@connect-domain/router/registry/baseFile.ts"
import { Registry } from "@connect-domain/router/registry/Registry.ts"
import { Snapshot } from "@connect-domain/router/registry/Snapshot.ts"
import { testVault } from "@connect-domain/router/testing/TestEdge.ts"
import { Result } from "effect"
import { hostOf, realName } from "./manyHosts.ts"

const [mode, count, folder] = process.argv.slice(2) as ["compact" | "map" | "serve", string, string]
const hosts = Number(count)
const tell = (result: object) => process.send?.(result)
const mebibytes = (bytes: number) => Math.round(bytes / 1024 / 1024)
const rss = () => mebibytes(process.memoryUsage().rss)
/** What V8 keeps for young objects, full or empty. It grows to its limit in any process that allocates for long; the limit depends on the machine's memory. */
const nursery = () => mebibytes(getHeapSpaceStatistics().find(({ space_name }) => space_name === "new_space")!.physical_space_size)

/** Milliseconds of full collections, sorted. */
const collections = (): ReadonlyArray<number> =>
  Array.from({ length: 7 }, () => {
    const began = performance.now()
    globalThis.gc?.()
    return performance.now() - began
  }).sort((a, b) => a - b)

const fill = async (put: (certificate: CertificateEntry, entry: HostnameEntry) => void) => {
  const maker = spawn(process.execPath, [join(import.meta.dirname, "makeEntries.ts"), count], { stdio: ["ignore", "pipe", "inherit"] })
  const codecs = { certificate: codecOf(certificates.value), entry: codecOf(hostnames.value) }
  let certificate: CertificateEntry | undefined
  let [millis, longest] = [0, 0]
  for await (const line of createInterface({ input: maker.stdout })) {
    if (certificate === undefined) {
      certificate = Result.getOrThrow(codecs.certificate.decode(line))
      continue
    }
    const entry = Result.getOrThrow(codecs.entry.decode(line)) as HostnameEntry
    const began = performance.now()
    // CPU time of this thread, since one put may have waited for other work of the machine; it is counted in ticks of some milliseconds.
    const before = process.threadCpuUsage()
    put(certificate, entry)
    const { user, system } = process.threadCpuUsage(before)
    millis += performance.now() - began
    longest = Math.max(longest, user + system)
    certificate = undefined
  }
  return { put_us: (millis / hosts) * 1000, put_max_ms: longest / 1000 }
}

const compact = async () => {
  const registry = new Registry()
  const puts = await fill((certificate, entry) => {
    registry.putCertificate(certificate)
    registry.putHostname(entry, entry.version)
  })
  const gc = collections()
  const measured = { rss: rss(), nursery: nursery(), gc_median: gc[3], gc_max: gc[6], pages: mebibytes(registry.holdings.bytes) }
  const began = performance.now()
  for (let at = 0; at < 1_000_000; at++) registry.find(hostOf((at * 7919) % hosts))
  const find_us = performance.now() - began
  const hot = performance.now()
  for (let at = 0; at < 10_000_000; at++) registry.find(realName)
  const find_hot_ns = (performance.now() - hot) / 10
  const delay = monitorEventLoopDelay({ resolution: 5 })
  delay.enable()
  const wrote = performance.now()
  const bytes = await writeBase(join(folder, "base.bin"), registry.holdings, 2, new AbortController().signal)
  const snapshot = {
    base_mib: mebibytes(bytes),
    write_ms: performance.now() - wrote,
    write_delay_p99_ms: delay.percentile(99) / 1e6
  }
  tell({ ...puts, ...measured, find_us: find_us / 1000, find_hot_ns, ...snapshot, write_delay_max_ms: delay.max / 1e6 })
}

const map = async () => {
  const held = new Map<string, HostnameEntry>()
  const sealed = new Map<string, CertificateEntry>()
  const puts = await fill((certificate, entry) => {
    sealed.set(certificate.certificate_id, certificate)
    held.set(entry.hostname, entry)
  })
  const gc = collections()
  tell({ ...puts, rss: rss(), gc_median: gc[3], gc_max: gc[6], kept: held.size + sealed.size })
}

const serve = async () => {
  const registry = new Registry()
  const { problems } = await new Snapshot(folder, registry).load()
  const router = new Router({ registry, vault: testVault, policy: makeAddressPolicy([]) })
  const { https } = await router.start({ host: "127.0.0.1", port: 0 }, { host: "127.0.0.1", port: 0 })
  tell({ https, problems, hostnames: registry.size })
  process.once("message", () => {
    const gc = collections()
    tell({ rss: rss(), nursery: nursery(), gc_median: gc[3], gc_max: gc[6] })
  })
}

await { compact, map, serve }[mode]()
