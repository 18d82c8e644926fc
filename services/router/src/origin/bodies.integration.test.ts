/** E4: origins are read into buffers that all connections share, and every client gets the bytes of its own answer all the same. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http"
import { connect as connectHttp2 } from "node:http2"
import { get } from "node:https"
import type { AddressInfo } from "node:net"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { TestEdge } from "../testing/TestEdge.ts"

const host = "bodies.example.org"
let edge: TestEdge
let origin: Server

/** Bytes that say where they stand and whose they are. */
const bodyOf = (name: string, length: number): Buffer =>
  Buffer.from(`${name}.`.repeat(Math.ceil(length / (name.length + 1)))).subarray(0, length)

/** `/<name>/<length>/<framing>`: an interim response in front, then the body in uneven pieces. */
const answer = (request: IncomingMessage, response: ServerResponse): void => {
  const [, name = "", length = "", framing] = request.url!.split("/")
  const body = bodyOf(name, Number(length))
  response.writeEarlyHints({ link: `</${name}>; rel=preload` })
  if (framing === "length") response.setHeader("content-length", body.length)
  let at = 0
  const more = (): void => {
    while (at < body.length) {
      const end = Math.min(body.length, at + 1 + ((at * 7919) % 200_000))
      const room = response.write(body.subarray(at, end))
      at = end
      if (!room) return void response.once("drain", more)
    }
    response.end()
  }
  more()
}

beforeAll(async () => {
  edge = await TestEdge.start()
  origin = createServer(answer)
  await new Promise<void>((resolve) => origin.listen(0, "127.0.0.1", resolve))
  await edge.add(host, `http://127.0.0.1:${(origin.address() as AddressInfo).port}`)
})

afterAll(async () => {
  await edge.stop()
  origin.closeAllConnections()
  origin.close()
})

/** Some take what comes, some rest after every piece. */
const gather = async (stream: AsyncIterable<Buffer>, slow: boolean): Promise<Buffer> => {
  const pieces: Array<Buffer> = []
  for await (const piece of stream) {
    pieces.push(piece)
    if (slow) await new Promise((resolve) => setImmediate(resolve))
  }
  return Buffer.concat(pieces)
}

const overHttp1 = (path: string, slow: boolean): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    const options = { host: "127.0.0.1", port: edge.https, servername: host, headers: { host }, ca: edge.authority.pem, path, agent: false }
    get(options, (response) => gather(response, slow).then(resolve, reject)).on("error", reject)
  })

const sizes = [1, 30_000, 33_000, 70_000, 1_500_000]
const paths = sizes.flatMap((size) =>
  ["length", "chunked"].flatMap((framing) => ["a", "bb", "ccc"].map((name) => ({ name, size, path: `/${name}/${size}/${framing}` })))
)
const same = (left: Buffer, right: Buffer) => left.equals(right)

describe("E4: bodies of many answers at a time", () => {
  it("arrive whole over HTTP/1.1, at fast and slow clients", async () => {
    const bodies = await Promise.all(paths.map(({ path }, at) => overHttp1(path, at % 2 === 0)))
    for (const [at, { name, size, path }] of paths.entries()) expect([path, same(bodies[at]!, bodyOf(name, size))]).toEqual([path, true])
  })

  it("arrive whole when buffers grow with what a client has taken", async () => {
    const long = ["a", "bb", "ccc", "dddd"].map((name) => ({ name, path: `/${name}/9000000/length` }))
    const bodies = await Promise.all(long.map(({ path }, at) => overHttp1(path, at % 2 === 0)))
    for (const [at, { name }] of long.entries()) expect([name, same(bodies[at]!, bodyOf(name, 9_000_000))]).toEqual([name, true])
  })

  it("arrive whole over HTTP/2, on one connection", async () => {
    const session = connectHttp2(`https://${host}:${edge.https}`, {
      ca: edge.authority.pem,
      servername: host,
      lookup: (_name: string, options: { all?: boolean }, done: (...found: ReadonlyArray<unknown>) => void) =>
        options.all ? done(null, [{ address: "127.0.0.1", family: 4 }]) : done(null, "127.0.0.1", 4)
    } as never)
    const bodies = await Promise.all(
      paths.map(({ path }, at) => gather(session.request({ ":path": path, ":authority": host }) as AsyncIterable<Buffer>, at % 2 === 0))
    )
    session.close()
    for (const [at, { name, size, path }] of paths.entries()) expect([path, same(bodies[at]!, bodyOf(name, size))]).toEqual([path, true])
  })
})
