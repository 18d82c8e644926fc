/** E4: whatever an origin does, each answer is that of its own request; a connection that is not clean is used once. */

import { type ClientHttp2Session, connect as connectHttp2 } from "node:http2"
import { Agent, request as askHttp1 } from "node:https"
import type { Socket } from "node:net"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { judge } from "../http1/corpus/judge.ts"
import { isRefusal } from "../http1/Refusal.ts"
import { RawOrigin } from "../testing/RawOrigin.ts"
import { TestEdge } from "../testing/TestEdge.ts"
import { Random } from "./random.ts"

const host = "shop.example.org"
const total = 10_000
const evil = "HTTP/1.1 200 OK\r\nX-Id: evil\r\nContent-Length: 4\r\n\r\nevil"
const counted = (id: string) => `HTTP/1.1 200 OK\r\nX-Id: ${id}\r\nContent-Length: ${id.length}\r\n\r\n${id}`
const chunks = (id: string) => [...id].map((letter) => `1\r\n${letter}\r\n`).join("")

/** What the origin does by the path's first part. `close`: it closes afterwards. `status`: what the client must see. */
const behaviours: Readonly<Record<string, { readonly answer: (id: string) => string; readonly close?: boolean; readonly status: number }>> =
  {
    counted: { answer: counted, status: 200 },
    chunked: {
      answer: (id) => `HTTP/1.1 200 OK\r\nX-Id: ${id}\r\nTransfer-Encoding: chunked\r\n\r\n${chunks(id)}0\r\nX-T: 1\r\n\r\n`,
      status: 200
    },
    "until-close": { answer: (id) => `HTTP/1.1 200 OK\r\nX-Id: ${id}\r\n\r\n${id}`, close: true, status: 200 },
    closing: { answer: (id) => counted(id).replace("\r\n", "\r\nConnection: close\r\n"), close: true, status: 200 },
    "says-close-stays": { answer: (id) => counted(id).replace("\r\n", "\r\nConnection: close\r\n"), status: 200 },
    hints: { answer: (id) => `${"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(5)}${counted(id)}`, status: 200 },
    "interim-flood": { answer: (id) => `${"HTTP/1.1 103 Early Hints\r\n\r\n".repeat(40)}${counted(id)}`, status: 502 },
    "extra-answer": { answer: (id) => `${counted(id)}${evil}`, status: 200 },
    "extra-bytes": { answer: (id) => `${counted(id)}\r\n\r\nevil`, status: 200 },
    "extra-behind-chunks": {
      answer: (id) => `HTTP/1.1 200 OK\r\nX-Id: ${id}\r\nTransfer-Encoding: chunked\r\n\r\n${chunks(id)}0\r\n\r\n${evil}`,
      status: 200
    },
    "length-and-chunks": {
      answer: () => `HTTP/1.1 200 OK\r\nX-Id: evil\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nevil\r\n0\r\n\r\n`,
      status: 502
    },
    "two-lengths": { answer: () => `HTTP/1.1 200 OK\r\nX-Id: evil\r\nContent-Length: 4\r\nContent-Length: 0\r\n\r\nevil`, status: 502 },
    "no-content": { answer: (id) => `HTTP/1.1 204 No Content\r\nX-Id: ${id}\r\n\r\n`, status: 204 },
    "no-content-with-body": { answer: (id) => `HTTP/1.1 204 No Content\r\nX-Id: ${id}\r\nContent-Length: 4\r\n\r\nevil`, status: 204 },
    "not-modified": { answer: (id) => `HTTP/1.1 304 Not Modified\r\nX-Id: ${id}\r\nContent-Length: 1000\r\n\r\n`, status: 304 },
    "unasked-upgrade": {
      answer: () => `HTTP/1.1 101 Switching Protocols\r\nX-Id: evil\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nevil`,
      status: 502
    },
    slams: { answer: () => "", close: true, status: 502 }
  }
const names = Object.keys(behaviours)

let edge: TestEdge
let origin: RawOrigin

beforeAll(async () => {
  edge = await TestEdge.start()
  const pending = new WeakMap<Socket, string>()
  const early = new WeakSet<Socket>()
  origin = await RawOrigin.start((socket, piece) => {
    let text = (pending.get(socket) ?? "") + piece
    for (;;) {
      // An early answer comes after the head, before the body was read.
      const path = /^POST \/early\/([0-9]+) /.exec(text)?.[1]
      if (path !== undefined && !early.has(socket)) {
        early.add(socket)
        socket.write(counted(path))
      }
      const read = text === "" ? "unfinished" : judge(text)
      if (read === "unfinished" || isRefusal(read)) break
      text = read.rest
      if (early.delete(socket)) continue
      const [, name, id] = read.head.target.split("/")
      const { answer, close } = behaviours[name!]!
      if (read.head.method === "POST" && read.body !== id) socket.destroy()
      socket.write(answer(id!), "latin1")
      if (close === true) socket.end()
    }
    pending.set(socket, text)
  })
  await edge.add(host, origin.url)
})

afterAll(async () => {
  await edge.stop()
  await origin.stop()
})

interface Seen {
  readonly status: number
  readonly id: string
  readonly body: string
}
interface Asked {
  readonly id: string
  readonly method: string
  readonly path: string
  readonly body: string
}

const overHttp1 =
  (agent: Agent) =>
  ({ method, path, body }: Asked) =>
    new Promise<Seen>((resolve, reject) => {
      const options = { agent, host: "127.0.0.1", port: edge.https, servername: host, ca: edge.authority.pem, headers: { host } }
      const stream = askHttp1({ ...options, method, path, ...(body === "" ? {} : { headers: { host, "content-length": body.length } }) })
      stream.on("error", reject)
      stream.on("response", (answer) => {
        let text = ""
        answer.on("data", (piece) => {
          text += piece
        })
        answer.on("end", () => resolve({ status: answer.statusCode ?? 0, id: String(answer.headers["x-id"]), body: text }))
        answer.on("error", reject)
      })
      stream.end(body)
    })

const overHttp2 =
  (session: ClientHttp2Session) =>
  ({ method, path, body }: Asked) =>
    new Promise<Seen>((resolve, reject) => {
      const stream = session.request({ ":method": method, ":path": path, ":authority": host }, { endStream: body === "" })
      let [status, id, text] = [0, "", ""]
      stream.on("response", (fields) => {
        status = Number(fields[":status"])
        id = String(fields["x-id"])
      })
      stream.on("data", (piece) => {
        text += piece
      })
      stream.on("error", reject)
      stream.on("close", () => resolve({ status, id, body: text }))
      if (body !== "") stream.end(body)
    })

/** Both ways an early answer may end: it comes, or the connection to the client is closed before it. */
const judgeSeen = ({ id, method, path }: Asked, seen: Seen, wrong: Array<string>): void => {
  const say = (what: string) => wrong.push(`${method} ${path}: ${what} ${JSON.stringify(seen)}`)
  const wanted = path.startsWith("/early/") ? 200 : behaviours[path.split("/")[1]!]!.status
  if (seen.status !== wanted) say(`not ${wanted}`)
  else if (wanted === 502) {
    if (seen.body.includes("evil") || seen.id !== "undefined") say("an answer that should not be")
  } else if (seen.id !== id) say("another request's answer")
  else if (wanted === 200 && method !== "HEAD" && seen.body !== id) say("another request's body")
}

describe("E4: upstream hygiene", () => {
  it(`E4: of ${total} mixed requests each gets the answer to itself`, async () => {
    const seed = Date.now() % 100_000
    const random = new Random(seed)
    const agent = new Agent({ keepAlive: true, maxSockets: 24 })
    const sessions = Array.from({ length: 4 }, () =>
      connectHttp2(`https://127.0.0.1:${edge.https}`, { servername: host, ca: edge.authority.pem })
    )
    const ways = [overHttp1(agent), overHttp1(agent), ...sessions.map(overHttp2)]
    const wrong: Array<string> = []
    let next = 0
    const client = async () => {
      while (next < total) {
        const id = String(++next)
        // A quarter hostile: clean connections must be there to be poisoned.
        const name = random.once(3) ? random.pick(names) : random.pick(["counted", "chunked", "early"])
        const method = name === "early" ? "POST" : random.pick(["GET", "GET", "POST", "HEAD"])
        const asked = {
          id,
          method,
          path: `/${name}/${id}`,
          body: method === "POST" ? (name === "early" ? id.repeat(random.pick([10, 1000, 30_000])) : id) : ""
        }
        await random
          .pick(ways)(asked)
          .then(
            (seen) => judgeSeen(asked, seen, wrong),
            // Only a request whose body was cut short by an early answer may lose its connection.
            (error: Error) => void (name === "early" || wrong.push(`${asked.path} ${method}: ${error.message}`))
          )
      }
    }
    await Promise.all(Array.from({ length: 48 }, client))
    agent.destroy()
    for (const session of sessions) session.close()
    expect(wrong.slice(0, 10), `seed ${seed}`).toEqual([])
  })
})
