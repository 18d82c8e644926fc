/**
 * Whatever the edge forwards, nginx and haproxy behind it read as the same one request: `node bench/edge/differential.ts`.
 *
 * Needs nginx and haproxy on the PATH. Every served case of the raw corpus goes through the edge to each of them, and from there to an origin that
 * remembers bytes. What arrives must be one request with the same method, target, host and body whichever of the two stood in between.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { corpus } from "@connect-domain/router/http1/corpus/corpus.ts"
import { judge } from "@connect-domain/router/http1/corpus/judge.ts"
import { host } from "@connect-domain/router/http1/corpus/RawCase.ts"
import { isRefusal } from "@connect-domain/router/http1/Refusal.ts"
import { ok, RawOrigin } from "@connect-domain/router/testing/RawOrigin.ts"
import { readAll, TestEdge } from "@connect-domain/router/testing/TestEdge.ts"

const folder = mkdtempSync(join(tmpdir(), "edge-differential-"))
const wait = (millis: number) => new Promise((resolve) => setTimeout(resolve, millis))
const freePort = () =>
  new Promise<number>((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })

const origin = await RawOrigin.start((socket) => {
  const text = origin.received[origin.sockets.indexOf(socket)]!
  const verdict = judge(text)
  if (verdict !== "unfinished" && !isRefusal(verdict)) socket.end(ok("served", "Connection: close\r\n"))
})
const target = origin.url.slice("http://".length)
const user = process.getuid?.() === 0 ? "user root; " : ""
const [nginx, haproxy] = [await freePort(), await freePort()]
writeFileSync(
  join(folder, "nginx.conf"),
  `${user}daemon off; pid ${folder}/pid; error_log ${folder}/log; events {} http { access_log off; client_body_temp_path ${folder}/b;
   proxy_temp_path ${folder}/p; fastcgi_temp_path ${folder}/f; uwsgi_temp_path ${folder}/u; scgi_temp_path ${folder}/s;
   large_client_header_buffers 8 64k; client_header_buffer_size 64k; ignore_invalid_headers off; underscores_in_headers on;
   server { listen 127.0.0.1:${nginx}; location / { proxy_pass http://${target}; proxy_http_version 1.1; proxy_request_buffering off;
   proxy_set_header Host $http_host; } } }`
)
writeFileSync(
  join(folder, "haproxy.cfg"),
  `global\n  tune.bufsize 65536\n  tune.http.maxhdr 2000\ndefaults\n  mode http\n  timeout connect 5s\n  timeout client 5s\n  timeout server 5s
frontend f\n  bind 127.0.0.1:${haproxy}\n  default_backend b\nbackend b\n  server s ${target}\n`
)
const children: ReadonlyArray<ChildProcess> = [
  spawn("nginx", ["-c", join(folder, "nginx.conf")], { stdio: "ignore" }),
  spawn("haproxy", ["-f", join(folder, "haproxy.cfg")], { stdio: "ignore" })
]
await wait(500)

/** What the origin read when `reader` stood between it and the edge. */
const through = async (edge: TestEdge, bytes: string) => {
  origin.received.length = 0
  for (const socket of origin.sockets) socket.destroy()
  origin.sockets.length = 0
  const socket = await edge.connect(host)
  const answer = readAll(socket)
  socket.write(bytes, "latin1")
  socket.end()
  const status = /^HTTP\/1\.1 ([0-9]{3})/.exec(await answer)?.[1] ?? "none"
  const got = judge(origin.received.join(""))
  if (got === "unfinished" || isRefusal(got))
    return { status, requests: origin.received.length, text: JSON.stringify(origin.received.join("").slice(0, 300)) }
  const { method, target: path, host: name } = got.head
  return { status, requests: origin.received.length, method, path, host: name, body: got.body, rest: got.rest }
}

/** The reader answered itself: it refused, which is no other reading. */
const refused = (result: string) => result.includes('"requests":0')
let different = 0
let declined = 0
const readers: ReadonlyArray<readonly [string, string]> = [
  ["nginx", `http://127.0.0.1:${nginx}`],
  ["haproxy", `http://127.0.0.1:${haproxy}`],
  ["nothing", origin.url]
]
const edges = new Map<string, TestEdge>()
for (const [name, url] of readers) {
  const edge = await TestEdge.start()
  await edge.add(host, url)
  edges.set(name, edge)
}
const served = corpus.filter((each) => each.expect === "served")
for (const { name, bytes } of served) {
  const results: Array<string> = []
  for (const edge of edges.values()) results.push(JSON.stringify(await through(edge, bytes)))
  declined += results.filter(refused).length
  if (new Set(results.filter((result) => !refused(result))).size === 1) continue
  different++
  console.log(`\n${name}`)
  for (const [at, [reader]] of readers.entries()) console.log(`  ${reader.padEnd(8)} ${results[at]!.slice(0, 600)}`)
}
console.log(`\n${served.length} served cases, ${different} read differently, ${declined} refused by a reader`)
for (const edge of edges.values()) await edge.stop(100)
await origin.stop()
for (const child of children) child.kill("SIGTERM")
await wait(300)
rmSync(folder, { recursive: true, force: true })
process.exitCode = different === 0 ? 0 : 1
