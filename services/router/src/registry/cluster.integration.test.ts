/** An edge on three NATS servers that keep copies of each other's buckets, while whichever leads is killed. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { connect as connectTls } from "node:tls"
import { hostnames } from "@connect-domain/messages/buckets.ts"
import { leaderOf, type NatsCluster, startCluster } from "@connect-domain/nats/testing/NatsCluster.ts"
import { Effect } from "effect"
import { afterAll, beforeAll, expect, it } from "vitest"
import { ControlPlane } from "../testing/ControlPlane.ts"
import { EdgeProcess } from "../testing/EdgeProcess.ts"
import { ok, RawOrigin } from "../testing/RawOrigin.ts"
import { readAll } from "../testing/TestEdge.ts"

let plane: ControlPlane<NatsCluster>
let origin: RawOrigin
let folder: string

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "edge-cluster-"))
  origin = await RawOrigin.answering(ok("served"))
  plane = await ControlPlane.on(startCluster())
}, 60_000)

afterAll(async () => {
  await plane.stop()
  await origin.stop()
  rmSync(folder, { recursive: true })
})

/** Asks until it was acknowledged: what a leader's end leaves open is asked again. */
const untilDone = async <A>(ask: () => Promise<A>): Promise<A> => {
  for (;;) {
    try {
      return await ask()
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
}

const visit = (edge: EdgeProcess, host: string): Promise<string> =>
  new Promise((resolve) => {
    const socket = connectTls({ host: "127.0.0.1", port: edge.https, servername: host, ca: plane.authority.pem })
    socket.on("secureConnect", () => {
      socket.write(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
      void readAll(socket).then((text) => resolve(text.slice(9, 12)))
    })
    socket.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? "error"))
  })

const start = (name: string) => EdgeProcess.start({ NATS_URL: plane.nats.url, CD_EDGE_ID: name, CD_EDGE_SNAPSHOT_DIR: join(folder, name) })

const answersOf = async (edge: EdgeProcess, names: Iterable<string>): Promise<ReadonlyMap<string, string>> => {
  return new Map(await Promise.all([...names].map(async (name) => [name, await visit(edge, name)] as const)))
}

it("E16: with three copies of every bucket, an edge has every acknowledged change, though the leader is killed again and again", async () => {
  const edge = await start("edge")
  const wanted = new Map<string, string>()
  let [running, count, last] = [true, 0, 0]
  const write = async (writer: number) => {
    while (running) {
      const name = `shop${writer}-${count++}.example.org`
      const { entry, revision } = await untilDone(() => plane.hold(name, { origin: origin.url }))
      const released = count % 3 === 0 ? await untilDone(() => plane.release(entry)) : 0
      wanted.set(name, released > 0 ? "ERR_SSL_TLSV1_UNRECOGNIZED_NAME" : "200")
      last = Math.max(last, revision, released)
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
  const writers = [0, 1, 2].map(write)
  for (let round = 0; round < 3; round++) {
    const server = plane.nats.servers[await untilDone(() => plane.run(leaderOf(`KV_${hostnames.bucket}`)))]!
    await Effect.runPromise(server.stop("SIGKILL"))
    const before = wanted.size
    while (wanted.size < before + 30) await new Promise((resolve) => setTimeout(resolve, 20))
    await plane.applied("edge", last)
    // One that reads everything, while the server that comes back lags behind and answers too.
    const known = new Map(wanted)
    const [revision] = [last, await Effect.runPromise(server.start)]
    const late = await start(`late-${round}`)
    await plane.applied(`late-${round}`, revision)
    expect(await answersOf(late, known.keys())).toEqual(known)
    expect(await late.stop()).toBe(0)
  }
  running = false
  await Promise.all(writers)
  await plane.applied("edge", last)
  expect(await answersOf(edge, wanted.keys())).toEqual(wanted)
  expect(await edge.stop()).toBe(0)
}, 240_000)
