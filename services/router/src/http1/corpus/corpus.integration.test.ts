/** Every raw case over TLS through a running edge: what the client is answered, and what the origin gets, as llhttp reads it. */
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { readAll, TestEdge } from "../../testing/TestEdge.ts"
import { corpus } from "./corpus.ts"
import { LlhttpOrigin } from "./LlhttpOrigin.ts"
import { host, type RawCase } from "./RawCase.ts"

let edge: TestEdge
let origin: LlhttpOrigin

beforeAll(async () => {
  edge = await TestEdge.start()
  origin = await LlhttpOrigin.start()
  await edge.add(host, origin.url)
})

afterAll(async () => {
  await edge.stop()
  await origin.stop()
})

const finalStatuses = (answer: string) => [...answer.matchAll(/HTTP\/1\.1 ([2-5][0-9]{2})/g)].map((match) => Number(match[1]))
const follower = `GET /smuggled HTTP/1.1\r\nHost: ${host}\r\n\r\n`

/** How many requests are served, and what is answered behind them. */
const wantedStatuses = ({ expect: wanted, requests, refusedBehind }: RawCase): ReadonlyArray<number> => {
  if (wanted !== "served") return [wanted]
  const served = Array<number>(requests?.length ?? 1).fill(200)
  return refusedBehind === undefined ? served : [...served, refusedBehind]
}

/** What of the received bytes the client has a hand in. */
const withoutOurs = (bytes: string) =>
  bytes.replace(/X-CD-(Connection|Request-Id): .*\r\n/g, "").replace(/\r\n(X-Forwarded-\w+|X-Real-IP|Forwarded): [^\r]*/g, "")

describe("E1: the corpus over TLS", () => {
  it.each(corpus.map((each) => [each.name, each] as const))("%s", async (_, each) => {
    const { bytes, expect: wanted, body, forwarded, absent, requests, refusedBehind } = each
    const refused = wanted !== "served" || refusedBehind !== undefined
    origin.clear()
    // A request that can't be repeated must not meet the end of a kept connection.
    while (edge.router.pool.size.idle > 0) await new Promise((resolve) => setTimeout(resolve, 1))
    const socket = await edge.connect(host)
    const answer = readAll(socket)
    // What is refused must take everything behind it along: a request that follows is never read.
    socket.write(refused ? `${bytes}${follower}` : bytes, "latin1")
    if (!refused) socket.end()
    expect(finalStatuses(await answer)).toEqual(wantedStatuses(each))
    expect(origin.refused).toEqual([])
    expect(origin.bytes).not.toContain("smuggled HTTP/1.1")
    if (wanted !== "served") return expect(origin.requests).toEqual([])
    expect(origin.requests).toHaveLength(requests?.length ?? 1)
    const [first] = origin.requests
    if (body !== undefined) expect(first?.body).toBe(body)
    if (requests !== undefined) expect(origin.requests.map(({ method, target, body }) => [method, target, body])).toEqual(requests)
    for (const line of forwarded ?? []) expect(origin.bytes).toContain(`${line}\r\n`)
    for (const part of absent ?? []) expect(withoutOurs(origin.bytes)).not.toContain(part)
  })
})
