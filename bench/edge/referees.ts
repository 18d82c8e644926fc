/**
 * h2spec and h1spec as referees of the edge (E1, E9), and of bare Node beside it: `node bench/edge/referees.ts [h2spec sections]`.
 *
 * Owns: an edge, the origin behind it, a bare node:http2 server, the verdict: no case may fail at the edge that passes at bare Node. Leaves the
 * cases to `h2spec` (on the PATH, or EDGE_H2SPEC) and to h1spec's `http_test.ts` (EDGE_H1SPEC), which is run as it is, with what it uses of Deno.
 */
import { execFile } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import { createSecureServer, type Http2ServerRequest, type Http2ServerResponse } from "node:http2"
import { stripTypeScriptTypes } from "node:module"
import type { AddressInfo, Server } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { connect } from "node:tls"
import { TestEdge } from "@connect-domain/router/testing/TestEdge.ts"

const [h2spec = "h2spec", h1spec] = [process.env.EDGE_H2SPEC, process.env.EDGE_H1SPEC]
/** h2spec takes SNI, `:authority` and address from one option; h1spec asks for the other. */
const names = ["localhost", "example.com"] as const
const folder = mkdtempSync(join(tmpdir(), "edge-referees-"))

/** h1spec wants the body back, h2spec any of five bytes and more. */
const echo = (request: IncomingMessage | Http2ServerRequest, response: ServerResponse | Http2ServerResponse): void => {
  const pieces: Array<Buffer> = []
  request.on("data", (piece: Buffer) => pieces.push(piece)).on("error", () => {})
  request.on("end", () => {
    const body = Buffer.concat([...pieces, Buffer.from(pieces.length > 0 ? "" : "Hello world\n")])
    response.setHeader("content-length", body.length)
    ;(response as ServerResponse).end(body)
  })
}

const listen = (server: Server): Promise<number> =>
  new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port)))

const told = (who: string, summary: string, failed: ReadonlyArray<string>): ReadonlyArray<string> => {
  console.log([`\n${who}: ${summary.trim()}`, ...failed].join("\n  failed  "))
  return failed
}

/** The cases that failed; undefined when there is no such program. */
const runH2spec = (port: number, about: string): Promise<ReadonlyArray<string> | undefined> =>
  new Promise((resolve) => {
    const file = join(folder, "junit.xml")
    const options = ["--tls", "--insecure", "--strict", "--host", names[0], "--port", String(port), "--junit-report", file]
    execFile(h2spec, [...options, ...process.argv.slice(2)], { maxBuffer: 1 << 24 }, (error, stdout) => {
      const summary = /^\d+ tests, .*$/m.exec(stdout)?.[0]
      if (summary === undefined) return resolve(console.log(`\nh2spec: ${error?.message ?? stdout}`) ?? undefined)
      const failed = readFileSync(file, "utf8").matchAll(/<testcase package="(.*?)" classname="(.*?)"[^>]*>\s*<(?:failure|error)/g)
      const cases = [...failed].map(([, section, title]) => `${section}: ${title}`.replaceAll("&#34;", '"'))
      resolve(told(`h2spec, ${about}`, summary, cases))
    })
  })

/** Over TLS. A read gathers for a moment, since head and body may come apart; one that the script has given up must not end. */
const connectAsDeno = (port: number) => (): Promise<object> =>
  new Promise((resolve, reject) => {
    const pieces: Array<Buffer> = []
    const socket = connect({ host: "127.0.0.1", port, servername: names[1], rejectUnauthorized: false, ALPNProtocols: ["http/1.1"] })
    const something = new Promise<void>((come) => socket.once("data", () => setTimeout(come, 100)).once("end", come))
    const read = async (into: Uint8Array): Promise<number | null> => {
      await something
      into.set(Buffer.concat(pieces).subarray(0, into.length))
      return Math.min(Buffer.concat(pieces).length, into.length) || null
    }
    socket.on("data", (piece: Buffer) => pieces.push(piece)).on("error", reject)
    const write = async (bytes: Uint8Array) => void socket.write(bytes)
    socket.once("secureConnect", () => resolve({ write, read, close: () => socket.destroy() }))
  })

const runH1spec = (port: number, about: string): Promise<ReadonlyArray<string> | undefined> =>
  new Promise((resolve) => {
    if (h1spec === undefined) return resolve(undefined)
    const failed: Array<string> = []
    const say = (text: string): void => {
      if (text.startsWith("❌")) failed.push(text.slice(2))
      if (text.includes("tests passed")) resolve(told(`h1spec, ${about}`, text, failed))
    }
    const script = new Function("Deno", "console", stripTypeScriptTypes(readFileSync(h1spec, "utf8")))
    script({ args: [names[1], port], exit: () => {}, connect: connectAsDeno(port) }, { log: say, error: say })
  })

const edge = await TestEdge.start()
const origin = `http://127.0.0.1:${await listen(createServer(echo))}`
for (const name of names) await edge.add(name, origin)
const { chain, key } = await edge.authority.issue(names)
const bare = await listen(createSecureServer({ cert: chain, key, allowHTTP1: true }, echo))
const worse: Array<string> = []
for (const run of [runH2spec, runH1spec]) {
  const [theirs, ours] = [await run(bare, `node ${process.version}`), await run(edge.https, "the edge")]
  if (theirs === undefined || ours === undefined) console.log(`\n${run === runH1spec ? "h1spec" : "h2spec"} is missing and left out`)
  else worse.push(...ours.filter((each) => !theirs.includes(each)))
}
console.log(["\nat the edge only:", ...worse].join("\n  "))
await edge.stop(100)
rmSync(folder, { recursive: true })
process.exit(worse.length)
