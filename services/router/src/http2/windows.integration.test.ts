/** Flow control of what the edge sends (RFC 9113 §6.9): a window that the client changes while an answer is under way. */
import type { TLSSocket } from "node:tls"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { ok, RawOrigin } from "../testing/RawOrigin.ts"
import { TestEdge } from "../testing/TestEdge.ts"
import { FrameReader, type FrameSink } from "./FrameReader.ts"
import { ErrorCode, Flag, FrameType, frameHeader, maxWindow, preface, Setting, settingsFrame, windowFrame } from "./frames.ts"
import { encodeFields } from "./hpack/encodeFields.ts"

const host = "shop.example.org"
/** Its origin never answers: its streams' windows stay as they are. */
const silentHost = "silent.example.org"
let edge: TestEdge
let origin: RawOrigin
let silent: RawOrigin

beforeAll(async () => {
  edge = await TestEdge.start()
  origin = await RawOrigin.answering(ok("a".repeat(50_000)))
  await edge.add(host, origin.url)
  silent = await RawOrigin.start(() => {})
  await edge.add(silentHost, silent.url)
})

afterAll(async () => {
  await edge.stop()
  await origin.stop()
  await silent.stop()
})

/** A client that counts the body's bytes of each stream, and tells how it was told off. */
class Client implements FrameSink {
  readonly received = new Map<number, number>()
  readonly goaways: Array<number> = []
  readonly resets: Array<readonly [number, number]> = []
  private pongs = 0
  private pings = 0
  private readonly frames = new FrameReader()
  private readonly socket: TLSSocket

  private constructor(socket: TLSSocket) {
    this.socket = socket
    socket.on("error", () => {})
    this.frames.read(preface, this) // what a server sends has none
    socket.on("data", (piece: Buffer) => this.frames.read(piece, this))
  }

  static async open(firstWindow: number, name = host): Promise<Client> {
    const client = new Client(await edge.connect(name, { alpn: ["h2"] }))
    client.send(preface.toString("latin1") + settingsFrame([[Setting.InitialWindowSize, firstWindow]]))
    return client
  }

  onFrame(type: number, flags: number, stream: number, payload: Buffer): boolean {
    if (type === FrameType.Data) this.received.set(stream, (this.received.get(stream) ?? 0) + payload.length)
    if (type === FrameType.Ping && (flags & Flag.Ack) !== 0) this.pongs++
    if (type === FrameType.Goaway) this.goaways.push(payload.readUInt32BE(4))
    if (type === FrameType.RstStream) this.resets.push([stream, payload.readUInt32BE(0)])
    return true
  }

  onBroken(what: string): void {
    throw new Error(what)
  }

  send(text: string): void {
    this.socket.write(text, "latin1")
  }

  get(stream: number, name = host): void {
    const block = encodeFields([":method", "GET", ":scheme", "https", ":authority", name, ":path", "/"])
    this.send(frameHeader(block.length, FrameType.Headers, Flag.EndHeaders | Flag.EndStream, stream) + block)
  }

  window(size: number): void {
    this.send(settingsFrame([[Setting.InitialWindowSize, size]]))
  }

  async until(what: () => boolean): Promise<void> {
    while (!what()) await new Promise((resolve) => setTimeout(resolve, 2))
  }

  /** What came of a stream's body by the time the edge has acted on everything that was sent. */
  async settled(stream: number): Promise<number> {
    const wanted = ++this.pings
    this.send(`${frameHeader(8, FrameType.Ping, 0, 0)}settled?`)
    await this.until(() => this.pongs >= wanted)
    return this.received.get(stream) ?? 0
  }

  close(): void {
    this.socket.destroy()
  }
}

describe("SETTINGS_INITIAL_WINDOW_SIZE in the middle of an answer", () => {
  it("takes from a window that is used up, below zero, and sends again only when it is above", async () => {
    const client = await Client.open(1000)
    client.get(1)
    await client.until(() => client.received.get(1) === 1000)
    client.window(400) // 600 below zero
    expect(await client.settled(1)).toBe(1000)
    client.send(windowFrame(1, 600))
    expect(await client.settled(1)).toBe(1000)
    client.send(windowFrame(1, 50))
    await client.until(() => client.received.get(1) === 1050)
    client.window(5400)
    await client.until(() => client.received.get(1) === 6050)
    expect(await client.settled(1)).toBe(6050)
    client.get(3) // has the present window from its beginning
    await client.until(() => client.received.get(3) === 5400)
    client.window(0)
    client.window(50_000)
    await client.until(() => client.received.get(1) === 50_000)
    expect([client.goaways, client.resets]).toEqual([[], []])
    client.close()
  })

  it("ends the connection when a stream's window would pass 2^31-1, and only the stream when its own update does that", async () => {
    const client = await Client.open(1000, silentHost)
    client.get(1, silentHost)
    client.get(3, silentHost)
    client.send(windowFrame(1, maxWindow - 1000))
    await client.settled(1)
    expect(client.resets).toEqual([])
    client.send(windowFrame(1, 1))
    await client.until(() => client.resets.length > 0)
    expect([client.resets, client.goaways]).toEqual([[[1, ErrorCode.FlowControl]], []])
    client.window(0)
    client.send(windowFrame(3, 1))
    await client.settled(3)
    expect(client.goaways).toEqual([])
    client.window(maxWindow)
    await client.until(() => client.goaways.length > 0)
    expect(client.goaways).toEqual([ErrorCode.FlowControl])
    client.close()
  })
})
