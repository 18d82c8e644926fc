/**
 * Requirement T5: whatever the edge forwards, Debian's nginx and haproxy behind it read as the same one request.
 *
 * Every served case of the corpora goes over TLS through an edge to nginx, to haproxy, and to nothing in between; behind each stands an origin
 * that reads with llhttp. The three must have read the same: one request, its method, target, host, body, and the field lines that are not of one
 * hop, less those that the peer drops by its own documents (`peers.ts`). A further request on the same way shows that nothing was left over.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { authority, fieldCorpus } from "../../http2/fieldCorpus.ts"
import { Flag, FrameType } from "../../http2/frames.ts"
import { frame, headers, RawHttp2 } from "../../testing/RawHttp2.ts"
import { readAll, sendRaw, TestEdge } from "../../testing/TestEdge.ts"
import { corpus } from "./corpus.ts"
import { LlhttpOrigin, type ReadRequest } from "./LlhttpOrigin.ts"
import { type Peer, peers, startPeer } from "./peers.ts"
import { host } from "./RawCase.ts"

/** One way from a client to an origin. */
interface Way {
  readonly edge: TestEdge
  readonly origin: LlhttpOrigin
  readonly peer?: Peer
}
const ways: Array<Way> = []
const stops: Array<() => Promise<void>> = []

beforeAll(async () => {
  for (const peer of [undefined, ...peers]) {
    const origin = await LlhttpOrigin.start()
    stops.push(() => origin.stop())
    const between = peer === undefined ? undefined : await startPeer(peer, origin.url)
    if (between !== undefined) stops.unshift(between.stop)
    const edge = await TestEdge.start()
    stops.unshift(() => edge.stop())
    await edge.add(host, between?.url ?? origin.url)
    ways.push(peer === undefined ? { edge, origin } : { edge, origin, peer })
  }
})

afterAll(async () => {
  for (const stop of stops) await stop()
})

/** Of one hop, or compared as host and body. */
const notCompared = new Set(["host", "content-length", "transfer-encoding", "connection", "keep-alive", "x-cd-request-id"])
const nameOf = (line: string) => line.slice(0, line.indexOf(":"))

/** By name; lines of one name keep their order, which has a meaning (RFC 9110 §5.3). */
const endToEnd = (lines: ReadonlyArray<string>, passes: (name: string) => boolean) =>
  lines
    .filter((line) => !notCompared.has(nameOf(line)) && passes(nameOf(line)))
    .sort((one, other) => (nameOf(one) < nameOf(other) ? -1 : nameOf(one) > nameOf(other) ? 1 : 0))

/** What an origin behind `peer` should have read, or has, of a request. */
const comparable = (request: ReadRequest, { peer }: Way) => ({
  ...request,
  fields: endToEnd(request.fields, (name) => peer === undefined || !peer.drops(name)),
  trailers: peer?.dropsTrailers === true ? [] : endToEnd(request.trailers, () => true)
})

const follower = `GET /follower HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`
const statuses = (answer: string) => [...answer.matchAll(/HTTP\/1\.1 ([2-5][0-9]{2})/g)].map((match) => Number(match[1]))

/** Sends one case on each way and compares. `send` gives the final statuses of the answers. */
const compare = async (name: string, requests: number, send: (edge: TestEdge) => Promise<ReadonlyArray<number>>): Promise<void> => {
  const direct = ways[0]!
  for (const way of ways) {
    way.origin.forget()
    const refusal = way.peer?.refuses[name]
    const answered = await send(way.edge)
    expect(await sendRaw(way.edge, host, follower)).toMatch(/^HTTP\/1\.1 200 [\s\S]*served \/follower/)
    expect(way.origin.refused).toEqual([])
    const read = way.origin.requests
    expect(read.at(-1)).toMatchObject({ method: "GET", target: "/follower", body: "" })
    expect(answered).toEqual(refusal === undefined ? Array(requests).fill(200) : [refusal[0]])
    if (refusal !== undefined) {
      expect(read).toHaveLength(1)
      continue
    }
    expect(read).toHaveLength(requests + 1)
    expect(read.map((each) => comparable(each, way))).toEqual(direct.origin.requests.map((each) => comparable(each, way)))
  }
}

describe("T5, E1: HTTP/1.1, read alike behind nginx and haproxy", () => {
  const served = corpus.filter((each) => each.expect === "served" && each.refusedBehind === undefined)
  it.each(served.map((each) => [each.name, each] as const))("%s", (name, { bytes, requests }) =>
    compare(name, requests?.length ?? 1, async (edge) => {
      const socket = await edge.connect(host)
      const answer = readAll(socket)
      socket.write(bytes, "latin1")
      socket.end()
      return statuses(await answer)
    })
  )
})

/** HEADERS, and DATA in these pieces, on stream 1. */
const overHttp2 =
  (fields: ReadonlyArray<string>, pieces: ReadonlyArray<string> = []) =>
  async (edge: TestEdge) => {
    const client = await RawHttp2.open(edge, authority)
    const ends = (last: boolean) => (last ? Flag.EndStream : 0)
    client.send(
      headers(1, fields, Flag.EndHeaders | ends(pieces.length === 0)) +
        pieces.map((piece, at) => frame(FrameType.Data, ends(at === pieces.length - 1), 1, piece)).join("")
    )
    await client.until(() => client.ended.has(1) || client.closed)
    const status = client.text.startsWith("served ") ? 200 : (peersRefusal(client.text) ?? 0)
    client.close()
    return [status]
  }
/** nginx's and haproxy's own pages begin their titles with the status. */
const peersRefusal = (page: string): number | undefined => {
  const found = /<h1>([0-9]{3}) /.exec(page)
  return found === null ? undefined : Number(found[1])
}

describe("T5, E3: HTTP/2, read alike behind nginx and haproxy", () => {
  const served = fieldCorpus.filter((each) => each.expect === "served")
  it.each(served.map((each) => [each.name, each] as const))("%s", (name, { fields }) => compare(name, 1, overHttp2(fields)))

  const post = [":method", "POST", ":scheme", "https", ":authority", authority, ":path", "/upload"]
  const smuggled = `0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: ${host}\r\n\r\n`
  it.each<readonly [string, ReadonlyArray<string>, ReadonlyArray<string>]>([
    ["an empty body", post, [""]],
    ["a body of unknown length", post, ["hel", "", "lo"]],
    ["a body with its length", [...post, "content-length", "5"], ["hel", "lo"]],
    ["a body that ends a chunked one and begins a request", post, [smuggled]],
    ["the same with its length", [...post, "content-length", String(smuggled.length)], [smuggled.slice(0, 7), smuggled.slice(7)]],
    ["a body with GET", [":method", "GET", ...post.slice(2)], [smuggled]]
  ])("%s", (name, fields, pieces) => compare(name, 1, overHttp2(fields, pieces)))
})
