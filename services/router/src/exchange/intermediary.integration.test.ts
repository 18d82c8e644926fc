/** RFC 9110 §6.6.1 and §7.6.2: what an intermediary adds to an answer, and where it ends a request. */
import { connect as connectHttp2, type IncomingHttpHeaders } from "node:http2"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { ok, RawOrigin } from "../testing/RawOrigin.ts"
import { sendRaw, TestEdge } from "../testing/TestEdge.ts"

const host = "shop.example.org"
const theirs = "Tue, 15 Nov 1994 08:12:31 GMT"
let edge: TestEdge
let origin: RawOrigin

beforeAll(async () => {
  edge = await TestEdge.start()
  origin = await RawOrigin.start((socket, piece) => {
    if (piece.includes(" /dated ")) socket.write(ok("", `dAtE: ${theirs}\r\nX: y\r\n`))
    else if (piece.includes(" /error ")) socket.write("HTTP/1.1 503 Busy\r\nX-Date: 1\r\nContent-Length: 0\r\n\r\n")
    else if (piece.includes(" /hop ")) socket.write(ok("", `Connection: Date\r\nDate: ${theirs}\r\n`))
    else if (piece.includes("\r\n\r\n")) socket.write(`HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${ok("")}`)
  })
  await edge.add(host, origin.url)
})

afterAll(async () => {
  await edge.stop()
  await origin.stop()
})

interface Answer {
  readonly status: number
  readonly dates: ReadonlyArray<string>
  readonly allow: string
}

const overHttp1 = async (method: string, path: string, more: string): Promise<Answer> => {
  const answers = await sendRaw(edge, host, `${method} ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n${more}\r\n`)
  const answer = answers.slice(answers.lastIndexOf("HTTP/1.1 "))
  expect(answers.slice(0, answers.lastIndexOf("HTTP/1.1 "))).not.toMatch(/^date:/im)
  return {
    status: Number(answer.slice(9, 12)),
    dates: [...answer.matchAll(/^date: (.*)\r$/gim)].map((line) => line[1]!),
    allow: /^allow: (.*)\r$/im.exec(answer)?.[1] ?? ""
  }
}

const overHttp2 = async (method: string, path: string, more: string): Promise<Answer> => {
  const session = connectHttp2(`https://127.0.0.1:${edge.https}`, { servername: host, ca: edge.authority.pem })
  const lines = more.split("\r\n").filter((line) => line !== "")
  const fields = Object.fromEntries(lines.map((line) => line.toLowerCase().split(": ")))
  const stream = session.request({ ":method": method, ":path": path, ":authority": host, ...fields })
  const headers = await new Promise<IncomingHttpHeaders>((resolve, reject) => stream.on("response", resolve).on("error", reject))
  session.destroy()
  const dates = headers.date === undefined ? [] : [headers.date]
  return { status: Number(headers[":status"]), dates, allow: headers.allow ?? "" }
}

describe.each([
  ["HTTP/1.1", overHttp1],
  ["HTTP/2", overHttp2]
])("over %s", (_, ask) => {
  it.each(["/", "/error", "/hop"])("an answer without Date gets the time at which it came: %s", async (path) => {
    const from = Math.floor(Date.now() / 1000) * 1000
    const { dates } = await ask("GET", path, "")
    expect(dates).toHaveLength(1)
    expect(dates[0]).toBe(new Date(dates[0]!).toUTCString())
    expect(Date.parse(dates[0]!)).toBeGreaterThanOrEqual(from)
    expect(Date.parse(dates[0]!)).toBeLessThanOrEqual(Date.now())
  })

  it("an answer with Date keeps it", async () => {
    expect(await ask("GET", "/dated", "")).toMatchObject({ status: 200, dates: [theirs] })
  })

  it("an OPTIONS that may go no further is answered here, and the origin hears nothing of it", async () => {
    origin.received.length = 0
    const { status, allow } = await ask("OPTIONS", "/", "Max-Forwards: 0\r\n")
    expect(status).toBe(200)
    expect(allow).toContain("GET")
    expect(origin.received.join("")).toBe("")
  })

  it("one that may is one hop nearer to its end at the origin; one that says nonsense is refused", async () => {
    for (const socket of origin.sockets) socket.destroy()
    origin.received.length = 0
    expect((await ask("OPTIONS", "/", "Max-Forwards: 3\r\n")).status).toBe(200)
    expect(origin.received.join("")).toMatch(/^max-forwards: 2\r$/im)
    expect((await ask("OPTIONS", "/", "Max-Forwards: three\r\n")).status).toBe(400)
  })
})
