/** E4, E9: origins that answer before they have read the request, and reset the connection at once. */
import { connect as connectHttp2 } from "node:http2"
import { type AddressInfo, createServer, type Server, type Socket } from "node:net"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { readAll, TestEdge } from "../testing/TestEdge.ts"

const tooLarge = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 4\r\n\r\nlong"
const untilClose = "HTTP/1.1 413 Content Too Large\r\nConnection: close\r\n\r\nlo"
const body = Buffer.alloc(4 * 1024 * 1024, "a")
const rounds = 10
let edge: TestEdge
/** With `node:http2`. */
let fallback: TestEdge
const servers: Array<Server> = []

const add = async (host: string, answer: string): Promise<void> => {
  const server = createServer((socket: Socket) => {
    socket.on("error", () => {})
    // Most of the body is unread: the kernel sends a reset right behind the answer.
    socket.once("data", () => {
      socket.pause()
      socket.write(answer, () => socket.resetAndDestroy())
    })
  })
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  for (const each of [edge, fallback]) await each.add(host, `http://127.0.0.1:${(server.address() as AddressInfo).port}`)
}

beforeAll(async () => {
  edge = await TestEdge.start({ http2: "own" })
  fallback = await TestEdge.start({ http2: "node" })
  await add("complete.example.org", tooLarge)
  await add("cut.example.org", untilClose)
})

afterAll(async () => {
  await Promise.all([edge.stop(), fallback.stop()])
  for (const server of servers) server.close()
})

const overHttp1 = async (host: string): Promise<string> => {
  const socket = await edge.connect(host)
  const all = readAll(socket)
  socket.write(`POST / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: ${body.length}\r\n\r\n`)
  socket.write(body)
  return all
}

const overHttp2 = (host: string, { https, authority } = edge): Promise<string> =>
  new Promise((resolve) => {
    const session = connectHttp2(`https://127.0.0.1:${https}`, { servername: host, ca: authority.pem }).on("error", () => {})
    const stream = session.request({ ":method": "POST", ":path": "/", ":authority": host, "content-length": String(body.length) })
    let got = ""
    stream.on("response", (head) => {
      got = `${head[":status"]} `
    })
    stream.on("data", (piece: Buffer) => {
      got += piece.toString()
    })
    stream.on("error", () => {})
    stream.once("close", () => {
      session.destroy()
      resolve(`${got} ${stream.rstCode}`)
    })
    stream.end(body)
  })

describe("E4: an answer, and a reset at once", () => {
  it("E4: the answer that came before the reset reaches the client, over either version", async () => {
    for (let round = 0; round < rounds; round++) {
      expect(await overHttp1("complete.example.org")).toMatch(/^HTTP\/1\.1 413 [\s\S]*long$/)
      expect(await overHttp2("complete.example.org")).toBe("413 long 0")
      expect(await overHttp2("complete.example.org", fallback)).toBe("413 long 0")
    }
  })

  it("E4: a body that only the connection's end delimits is not complete when that end was a reset", async () => {
    for (let round = 0; round < rounds; round++) {
      const text = await overHttp1("cut.example.org")
      expect(text).not.toMatch(/\r\n0\r\n\r\n$/)
      expect(await overHttp2("cut.example.org")).not.toMatch(/ 0$/)
    }
  })
})
