/**
 * Slow clients beside a well-behaved visitor (E8): `node bench/edge/long/slow.ts [slow clients] [seconds]`; full size: 5000 60.
 *
 * A third each sends a head that never ends, sends a body byte by byte, and takes nothing of a large answer, all of the same hostname and with the router's
 * default limits; who is cut off comes again. Once all are there, a visitor asks over a new connection each time, for the whole time. Met when all of them
 * were there and not one of his requests failed; the latency is printed, and is the machine's as much as the edge's.
 */
import { fork } from "node:child_process"
import { connect } from "node:tls"
import { RawOrigin } from "@connect-domain/router/testing/RawOrigin.ts"
import { quantile, report } from "../../report.ts"
import { Rig } from "./Rig.ts"

const [count = 5000, seconds = 60] = process.argv.slice(2).map(Number)
const [quiet, slow] = ["shop.example.org", "slow.example.org"]
const rig = await Rig.start()
const body = Buffer.alloc(64 * 1024 * 1024, 120)
const large = await RawOrigin.start((socket, piece, connection) => {
  large.received[connection] = "" // the double must not remember an attack
  if (piece.startsWith("GET ")) socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n`)
  if (piece.startsWith("GET ")) socket.write(body)
})
const { revision } = await rig.plane.hold(slow, { origin: large.url })
const last = Math.max(revision, await rig.hold(quiet, 0))
const { edge, id } = await rig.edge({ CD_EDGE_CLIENT_CONNECTIONS: String(count * 2), CD_EDGE_ORIGIN_CONNECTIONS: String(count) })
await rig.plane.applied(id, last)

const attack = fork(`${import.meta.dirname}/slowClients.ts`, [String(edge.https), slow, String(Math.ceil(count / 3))])
let seen = { open: 0, ended: 0 }
attack.on("message", (message: typeof seen) => {
  seen = message
})
while (seen.open < count) await new Promise((resolve) => setTimeout(resolve, 100))
console.log(`${seen.open} slow clients are connected`)

/** Milliseconds of a request on a connection of its own; undefined when it failed. */
const visit = (): Promise<number | undefined> =>
  new Promise((resolve) => {
    const began = performance.now()
    let text = ""
    const socket = connect({
      host: "127.0.0.1",
      port: edge.https,
      servername: quiet,
      ca: [rig.plane.authority.pem],
      ALPNProtocols: ["http/1.1"]
    })
    socket.on("secureConnect", () => socket.write(`GET / HTTP/1.1\r\nHost: ${quiet}\r\nConnection: close\r\n\r\n`))
    socket.on("data", (piece) => {
      text += piece
    })
    socket.on("error", () => resolve(undefined))
    socket.on("close", () => resolve(/^HTTP\/1\.1 200 [\s\S]*tenant-0$/.test(text) ? performance.now() - began : undefined))
  })

const millis: Array<number> = []
let [failed, least] = [0, seen.open]
const until = performance.now() + seconds * 1000
while (performance.now() < until) {
  const took = await visit()
  if (took === undefined) failed++
  else millis.push(took)
  least = Math.min(least, seen.open)
  await new Promise((resolve) => setTimeout(resolve, 20))
}
const memory = edge.residentMebibytes
attack.disconnect()
await new Promise((resolve) => attack.once("exit", resolve))
const code = await edge.stop()
await large.stop()
await rig.stop()

const met = report("edge-slow", { count, seconds }, [
  { what: "slow clients at least", value: least, unit: "" },
  { what: "slow clients cut off", value: seen.ended, unit: "" },
  { what: "visits", value: millis.length, unit: "" },
  { what: "visits failed", value: failed, unit: "", target: { atMost: 0 } },
  { what: "visit p50", value: quantile(millis, 0.5), unit: "ms" },
  { what: "visit p99", value: quantile(millis, 0.99), unit: "ms" },
  { what: "memory of the router", value: memory, unit: "MiB" },
  { what: "exit code", value: Number(code), unit: "", target: { atMost: 0 } }
])
process.exit(met && millis.length > 0 ? 0 : 1)
