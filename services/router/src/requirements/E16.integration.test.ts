/** E16, A11, A13: the edge without NATS, and names that left. The long run: `bench/edge/long/outage.ts`. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { connect as connectTls } from "node:tls"
import { freePort } from "@connect-domain/domain/testing/freePorts.ts"
import { provision } from "@connect-domain/nats/provision.ts"
import { Effect } from "effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { ControlPlane } from "../testing/ControlPlane.ts"
import { EdgeProcess } from "../testing/EdgeProcess.ts"
import { ok, RawOrigin } from "../testing/RawOrigin.ts"
import { readAll } from "../testing/TestEdge.ts"

/** Of the load while NATS is away. */
const outageMillis = 6000
const names = Array.from({ length: 60 }, (_, at) => `shop${at}.example.org`)
let plane: ControlPlane
let origin: RawOrigin
let folder: string

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "edge-outage-"))
  origin = await RawOrigin.answering(ok("served"))
  plane = await ControlPlane.start()
  for (const name of names) await plane.hold(name, { origin: origin.url })
})

afterAll(async () => {
  await plane.stop()
  await origin.stop()
  rmSync(folder, { recursive: true, force: true })
})

const start = (id: string, more: Readonly<Record<string, string>> = {}) =>
  EdgeProcess.start({
    NATS_URL: plane.nats.url,
    CD_EDGE_ID: id,
    CD_EDGE_SNAPSHOT_DIR: join(folder, id),
    CD_EDGE_DRAIN_SECONDS: "2",
    ...more
  })

/** One request on a connection of its own: the status, or why there is none. */
const visit = (edge: EdgeProcess, host: string): Promise<string> =>
  new Promise((resolve) => {
    const socket = connectTls({ host: "127.0.0.1", port: edge.https, servername: host, ca: plane.authority.pem }, () => {
      void readAll(socket).then((text) => resolve(/^HTTP\/1\.1 ([0-9]{3})/.exec(text)?.[1] ?? "no answer"))
      socket.write(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
    }).on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? "failed"))
  })
/** How many answers of each kind. */
const statuses = async (edge: EdgeProcess, hosts: ReadonlyArray<string> = names): Promise<Record<string, number>> => {
  const counts: Record<string, number> = {}
  for (const status of await Promise.all(hosts.map((host) => visit(edge, host)))) counts[status] = (counts[status] ?? 0) + 1
  return counts
}
const refused = "ERR_SSL_TLSV1_UNRECOGNIZED_NAME"

describe("E16: NATS is gone", () => {
  it("E16: under load every request is served on, changes are applied when it is back, and the age of what is known is told", async () => {
    const health = await freePort()
    const edge = await start("outage", { CD_ROUTER_HEALTH_LISTEN: `127.0.0.1:${health}` })
    const last = await plane.hold("last.example.org", { origin: origin.url })
    await plane.applied("outage", last.revision)
    let running = true
    const answers = new Map<string, number>()
    const client = async (at: number) => {
      for (let count = at; running; count++) {
        const status = await visit(edge, names[count % names.length]!)
        answers.set(status, (answers.get(status) ?? 0) + 1)
      }
    }
    const clients = [client(0), client(20), client(40)]
    await Effect.runPromise(plane.nats.stop("SIGKILL"))
    await new Promise((resolve) => setTimeout(resolve, outageMillis))
    const metrics = await (await fetch(`http://127.0.0.1:${health}/metrics`)).text()
    expect(await statuses(edge)).toEqual({ 200: names.length })
    await Effect.runPromise(plane.nats.start)
    const revision = await plane.release(last.entry)
    await plane.applied("outage", revision)
    expect(await visit(edge, "last.example.org")).toBe(refused)
    running = false
    await Promise.all(clients)
    expect([...answers.keys()]).toEqual(["200"])
    expect(answers.get("200")).toBeGreaterThan(100)
    expect(Number(/^connect_domain_edge_registry_age_seconds(?:\{.*\})? ([0-9.]+)/m.exec(metrics)?.[1])).toBeGreaterThan(
      (outageMillis / 1000) * 0.8
    )
    expect(await edge.stop()).toBe(0)
  })
})

describe("A13: departure at the edge", () => {
  it("A13: an archived name is refused at once, on new handshakes and on connections that stand; its key leaves memory and disk", async () => {
    const edge = await start("departure")
    const { entry, revision } = await plane.hold("leaving.example.org", { origin: origin.url })
    const { sealed_key } = await plane.certificate(entry)
    await plane.applied("departure", revision)
    expect(await visit(edge, entry.hostname)).toBe("200")
    const kept = connectTls({ host: "127.0.0.1", port: edge.https, servername: entry.hostname, ca: plane.authority.pem })
    await new Promise((resolve) => kept.once("secureConnect", resolve))
    await waitFor(() => storedText("departure").includes(sealed_key))
    await plane.applied("departure", await plane.release(entry))
    expect(await visit(edge, entry.hostname)).toBe(refused)
    const end = readAll(kept)
    kept.write(`GET / HTTP/1.1\r\nHost: ${entry.hostname}\r\n\r\n`)
    expect(await end).toMatch(/^HTTP\/1\.1 421 /)
    expect(await edge.stop()).toBe(0)
    // What a restart reads holds the name no more, and serves all others.
    await Effect.runPromise(plane.nats.stop("SIGKILL"))
    const again = await start("departure")
    expect(await visit(again, entry.hostname)).toBe(refused)
    expect(await statuses(again)).toEqual({ 200: names.length })
    // While it runs, within the hour (`Snapshot.ts`); at a start at once.
    await waitFor(() => !storedText("departure").includes(sealed_key))
    expect(await again.stop()).toBe(0)
    await Effect.runPromise(plane.nats.start)
  })
})

describe("A11: start-up", () => {
  it("A11: boots with NATS down, then with NATS empty, and serves every stored certificate; asks for none", async () => {
    const before = await start("boot")
    await plane.applied("boot", (await plane.hold("boot.example.org", { origin: origin.url })).revision)
    // Entry and certificate come from two buckets, so either may be stored first.
    const records = [...names, "boot.example.org"].flatMap((name) => [`"hostname":"${name}"`, `"hostnames":["${name}"]`])
    await waitFor(() => {
      const stored = storedText("boot")
      return records.every((record) => stored.includes(record))
    })
    expect(await before.stop("SIGKILL")).toBe("SIGKILL")
    await Effect.runPromise(plane.nats.stop("SIGKILL"))
    const alone = await start("boot")
    expect(await statuses(alone, [...names, "boot.example.org"])).toEqual({ 200: names.length + 1 })
    await Effect.runPromise(Effect.andThen(plane.nats.wipe, plane.nats.start))
    await plane.run(provision)
    await plane.applied("boot", 0)
    expect(await statuses(alone, [...names, "boot.example.org"])).toEqual({ 200: names.length + 1 })
    expect(await alone.stop()).toBe(0)
    const empty = await start("boot")
    await plane.applied("boot", 0)
    expect(await statuses(empty, [...names, "boot.example.org"])).toEqual({ 200: names.length + 1 })
    expect(await empty.stop()).toBe(0)
  })
})

const waitFor = async (what: () => boolean): Promise<void> => {
  while (!what()) await new Promise((resolve) => setTimeout(resolve, 20))
}

/** Everything in the edge's folder, folders included. */
const storedText = (id: string): string =>
  readdirSync(join(folder, id), { recursive: true, withFileTypes: true })
    .filter((file) => file.isFile())
    .map((file) => readFileSync(join(file.parentPath, file.name), "latin1"))
    .join("")
