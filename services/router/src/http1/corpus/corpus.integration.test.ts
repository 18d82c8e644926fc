/** Every raw case over TLS through a running edge: what the client is answered, and what the origin gets. */
import type { Socket } from "node:net"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { ok, RawOrigin } from "../../testing/RawOrigin.ts"
import { readAll, TestEdge } from "../../testing/TestEdge.ts"
import { isRefusal } from "../Refusal.ts"
import { corpus } from "./corpus.ts"
import { judge } from "./judge.ts"
import { host } from "./RawCase.ts"

let edge: TestEdge
let origin: RawOrigin

beforeAll(async () => {
  edge = await TestEdge.start()
  const unanswered = new WeakMap<Socket, string>()
  origin = await RawOrigin.start((socket, piece) => {
    // Answers each request that is complete, by the edge's own strict reader.
    let text = (unanswered.get(socket) ?? "") + piece
    for (let verdict = judge(text); verdict !== "unfinished" && !isRefusal(verdict); verdict = text === "" ? "unfinished" : judge(text)) {
      text = verdict.rest
      socket.write(ok("served"))
    }
    unanswered.set(socket, text)
  })
  await edge.add(host, origin.url)
})

afterAll(async () => {
  await edge.stop()
  await origin.stop()
})

const statuses = (answer: string) => [...answer.matchAll(/HTTP\/1\.1 ([0-9]{3})/g)].map((match) => Number(match[1]))
const follower = `GET /smuggled HTTP/1.1\r\nHost: ${host}\r\n\r\n`

describe("E1: the corpus over TLS", () => {
  it.each(corpus.map((each) => [each.name, each] as const))("%s", async (_, { bytes, expect: wanted, body, forwarded, absent }) => {
    origin.received.length = 0
    for (const socket of origin.sockets) socket.destroy()
    const socket = await edge.connect(host)
    const answer = readAll(socket)
    // What is refused must take everything behind it along: a request that follows is never read.
    socket.write(wanted === "served" ? bytes : `${bytes}${follower}`, "latin1")
    if (wanted === "served") socket.end()
    const text = await answer
    expect(statuses(text)).toEqual([wanted === "served" ? 200 : wanted])
    const got = origin.received.join("")
    expect(got).not.toContain("smuggled HTTP/1.1")
    if (wanted !== "served") return
    const read = judge(got)
    if (read === "unfinished" || isRefusal(read)) throw new Error(`the origin got ${JSON.stringify(got)}`)
    expect(read.rest).toBe("")
    if (body !== undefined) expect(read.body).toBe(body)
    for (const line of forwarded ?? []) expect(got).toContain(`${line}\r\n`)
    for (const part of absent ?? [])
      expect(
        got.replace(/X-CD-(Connection|Request-Id): .*\r\n/g, "").replace(/\r\n(X-Forwarded-\w+|X-Real-IP|Forwarded): [^\r]*/g, "")
      ).not.toContain(part)
  })
})
