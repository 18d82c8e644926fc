/**
 * A restart with many names (E15): `node bench/edge/cold.ts [names] [distinct SNI] [seconds]`.
 *
 * Handshakes with names that were not asked for before, at a steady rate, mixed with unknown ones. Prints memory, event-loop delay and how many succeeded.
 */
import { fork } from "node:child_process"
import { join } from "node:path"
import { connect } from "node:tls"

const [names = 100_000, distinct = 20_000, seconds = 60] = process.argv.slice(2).map(Number)
const edge = fork(join(import.meta.dirname, "coldEdge.ts"), [String(names)], { execArgv: ["--max-semi-space-size=32"] })
const answer = <A>() => new Promise<A>((resolve) => edge.once("message", (message) => resolve(message as A)))
const { port, rss } = await answer<{ port: number; rss: number }>()
console.log(`${names} names held, no context: ${rss} MiB`)

let served = 0
let refused = 0
const handshake = (servername: string) =>
  new Promise<void>((resolve) => {
    const socket = connect({ host: "127.0.0.1", port, servername, rejectUnauthorized: false })
    socket.on("secureConnect", () => {
      served++
      socket.destroy()
    })
    socket.on("error", () => refused++)
    socket.on("close", () => resolve())
  })

const began = performance.now()
const open = new Set<Promise<void>>()
for (let at = 0; at < distinct; at++) {
  const due = began + (at / distinct) * seconds * 1000
  while (performance.now() < due) await new Promise((resolve) => setTimeout(resolve, 1))
  const name = at % 10 === 9 ? `unknown${at}.example.org` : `n${(at * 7919) % names}.bench.example.org`
  const one = handshake(name).then(() => void open.delete(one))
  open.add(one)
  if (open.size >= 256) await Promise.race(open)
}
await Promise.all(open)
const took = (performance.now() - began) / 1000
edge.send("report")
console.log(`${distinct} handshakes in ${took.toFixed(1)} s: ${served} served, ${refused} refused`, await answer())
edge.kill("SIGTERM")
