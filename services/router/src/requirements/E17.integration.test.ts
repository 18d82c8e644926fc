/** E17: nothing that comes in, from clients, balancers or origins, ends the process. As long as you like: `bench/edge/long/fuzz.ts`. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { connect as connectTls } from "node:tls"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { ControlPlane } from "../testing/ControlPlane.ts"
import { EdgeProcess } from "../testing/EdgeProcess.ts"
import { ok, RawOrigin } from "../testing/RawOrigin.ts"
import { readAll } from "../testing/TestEdge.ts"
import { fuzzCase, send } from "./fuzzing.ts"
import { Random } from "./random.ts"

const host = "shop.example.org"
const hostile = "hostile.example.org"
const fuzzMillis = 10_000
let plane: ControlPlane
let edge: EdgeProcess
let behind: EdgeProcess
let origin: RawOrigin
let mad: RawOrigin
let random: Random
let folder: string

const answers = [
  "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nA: b\r\n\r\n",
  "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
  "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nabc",
  "HTTP/1.1 200 OK\r\nX-__proto__: a\r\n__proto__: b\r\nconstructor: c\r\nContent-Length: 0\r\n\r\n"
]

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "edge-fuzz-"))
  plane = await ControlPlane.start()
  origin = await RawOrigin.start((socket, _, connection) => {
    origin.received[connection] = ""
    socket.write(ok("served"))
  })
  mad = await RawOrigin.start((socket, _, connection) => {
    mad.received[connection] = ""
    const bytes = Buffer.from(random.pick(answers), "latin1")
    for (let times = random.below(4); times > 0; times--) bytes[random.below(bytes.length)] = random.below(256)
    socket.write(bytes.subarray(0, random.once(3) ? random.below(bytes.length) : bytes.length))
    if (random.once(2)) socket.end()
  })
  const about = { NATS_URL: plane.nats.url, CD_LOG_LEVEL: "info", CD_EDGE_DRAIN_SECONDS: "0" }
  edge = await EdgeProcess.start({ ...about, CD_EDGE_ID: "open", CD_EDGE_ORIGIN_RESPONSE_SECONDS: "1", CD_EDGE_ORIGIN_IDLE_SECONDS: "1" })
  behind = await EdgeProcess.start({ ...about, CD_EDGE_ID: "behind", CD_EDGE_PROXY_TRUSTED: "127.0.0.0/8" })
  const { revision } = await plane.hold(host, { origin: origin.url })
  const last = await plane.hold(hostile, { origin: mad.url })
  await plane.applied("open", Math.max(revision, last.revision))
  await plane.applied("behind", last.revision)
})

afterAll(async () => {
  await edge.stop()
  await behind.stop()
  await plane.stop()
  await origin.stop()
  await mad.stop()
  rmSync(folder, { recursive: true, force: true })
})

const visit = (name: string) =>
  new Promise<string>((resolve) => {
    const socket = connectTls({ host: "127.0.0.1", port: edge.https, servername: name, rejectUnauthorized: false }, () => {
      void readAll(socket).then(resolve)
      socket.write(`GET / HTTP/1.1\r\nHost: ${name}\r\nConnection: close\r\n\r\n`)
    }).on("error", (error) => resolve(error.message))
  })

describe("E17: inputs", () => {
  it("E17: mutated requests, frames, header blocks, handshakes, PROXY headers and answers: the same processes serve on", async () => {
    const seed = Date.now() % 1_000_000
    random = new Random(seed)
    const target = { https: edge.https, http: edge.http, proxied: behind.https, host }
    const until = performance.now() + fuzzMillis
    let number = 0
    while (performance.now() < until) {
      const first = number
      const cases = Array.from({ length: 64 }, () => fuzzCase(seed, number++, host))
      await Promise.all([...cases.map((one) => send(target, one)), visit(hostile), visit(hostile)])
      const alive = edge.child.exitCode === null && behind.child.exitCode === null
      const about = `seed ${seed}, cases ${first} to ${number - 1}; ${(edge.log + behind.log).slice(-2000)}`
      expect(alive, about).toBe(true)
      expect(await visit(host), about).toMatch(/^HTTP\/1\.1 200 /)
    }
    expect(number).toBeGreaterThan(0)
    expect(edge.log + behind.log, `seed ${seed}`).not.toMatch(/uncaught|unhandled|"level":"(error|fatal)"/i)
  }, 180_000)
})
