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

let plane: ControlPlane<NatsCluster> | undefined
let origin: RawOrigin
let folder: string
const edges: Array<EdgeProcess> = []

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "edge-cluster-"))
  origin = await RawOrigin.answering(ok("served"))
  plane = await ControlPlane.on(startCluster())
})

afterAll(async () => {
  for (const edge of edges) await edge.stop("SIGKILL")
  await plane?.stop()
  await origin.stop()
  rmSync(folder, { recursive: true })
})

const askMillis = 60_000
/** Asks until it was acknowledged: what a leader's end leaves open is asked again. */
const untilDone = async <A>(ask: (plane: ControlPlane<NatsCluster>) => Promise<A>): Promise<A> => {
  const until = performance.now() + askMillis
  for (;;) {
    try {
      return await ask(plane!)
    } catch (error) {
      if (performance.now() > until) throw error
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
}

const visit = (edge: EdgeProcess, host: string): Promise<string> =>
  new Promise((resolve) => {
    const socket = connectTls({ host: "127.0.0.1", port: edge.https, servername: host, ca: plane!.authority.pem })
    socket.on("secureConnect", () => {
      socket.write(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
      void readAll(socket).then((text) => resolve(text.slice(9, 12)))
    })
    socket.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? "error"))
  })

const start = async (name: string): Promise<EdgeProcess> => {
  const edge = await EdgeProcess.start({ NATS_URL: plane!.nats.url, CD_EDGE_ID: name, CD_EDGE_SNAPSHOT_DIR: join(folder, name) })
  edges.push(edge)
  return edge
}

const answersOf = async (edge: EdgeProcess, names: Iterable<string>): Promise<ReadonlyMap<string, string>> => {
  return new Map(await Promise.all([...names].map(async (name) => [name, await visit(edge, name)] as const)))
}

const refused = "ERR_SSL_TLSV1_UNRECOGNIZED_NAME"

it("E16: with three copies of every bucket, an edge has every acknowledged change, though the leader is killed again and again", async () => {
  const edge = await start("edge")
  const wanted = new Map<string, string>()
  let [running, count, last] = [true, 0, 0]
  const writers = [0, 1, 2].map(async (writer) => {
    while (running) {
      const at = count++
      const [name, leaves] = [`shop${writer}-${at}.example.org`, at % 3 === 0]
      const { entry, revision } = await untilDone((control) => control.hold(name, { origin: origin.url }))
      if (leaves) {
        await untilDone((control) => control.applied("edge", revision))
        expect(await visit(edge, name)).toBe("200")
        last = Math.max(last, await untilDone((control) => control.release(entry)))
      }
      wanted.set(name, leaves ? refused : "200")
      last = Math.max(last, revision)
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  })
  const rounds = async () => {
    for (let round = 0; round < 3; round++) {
      const leader = await untilDone((control) => control.run(leaderOf(`KV_${hostnames.bucket}`)))
      const server = plane!.nats.servers[leader]!
      await Effect.runPromise(server.stop("SIGKILL"))
      const before = wanted.size
      while (running && wanted.size < before + 30) await new Promise((resolve) => setTimeout(resolve, 20))
      const [known, revision] = [new Map(wanted), last]
      await untilDone((control) => control.applied("edge", revision))
      expect(await answersOf(edge, known.keys())).toEqual(known)
      await Effect.runPromise(server.start)
      // One that reads everything, while the server that came back lags behind and answers too.
      const late = await start(`late-${round}`)
      await untilDone((control) => control.applied(`late-${round}`, revision))
      expect(await answersOf(late, known.keys())).toEqual(known)
      expect(await late.stop()).toBe(0)
    }
  }
  try {
    await Promise.race([rounds(), Promise.all(writers)])
  } finally {
    running = false
  }
  await Promise.all(writers)
  await untilDone((control) => control.applied("edge", last))
  expect(await answersOf(edge, wanted.keys())).toEqual(wanted)
  expect(await edge.stop()).toBe(0)
}, 240_000)
