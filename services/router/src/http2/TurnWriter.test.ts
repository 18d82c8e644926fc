/** E8: what waits for a client that takes nothing has no more memory than bytes, however many turns it came in. */
import type { Socket } from "node:net"
import { describe, expect, it } from "vitest"
import { FrameType, frameHeader } from "./frames.ts"
import { TurnWriter } from "./TurnWriter.ts"

/** A socket that keeps what is written to it for as long as `taking` is false. */
class Client {
  taking = true
  writableLength = 0
  readonly destroyed = false
  readonly writableEnded = false
  readonly kept: Array<Buffer> = []
  write(bytes: Buffer, written?: () => void): boolean {
    this.kept.push(this.taking ? Buffer.from(bytes) : bytes)
    if (!this.taking) this.writableLength += bytes.length
    else if (written !== undefined) process.nextTick(written)
    return this.taking
  }
}

const ping = (count: number) => frameHeader(8, FrameType.Ping, 1, 0) + String(count).padStart(8, "0")

describe("E8: a turn's bytes", () => {
  it("are each turn's own, whether or not the client takes them", async () => {
    const client = new Client()
    const writer = new TurnWriter(client as unknown as Socket)
    let sent = ""
    for (let turn = 0; turn < 300; turn++) {
      client.taking = turn < 150
      for (let count = 0; count <= turn % 7; count++) {
        writer.put(ping(turn * 10 + count))
        sent += ping(turn * 10 + count)
      }
      writer.flush()
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(Buffer.concat(client.kept).toString("latin1")).toBe(sent)
  })

  it("take the memory of their bytes while others wait before them", () => {
    const client = new Client()
    client.taking = false
    const writer = new TurnWriter(client as unknown as Socket)
    const before = process.memoryUsage().arrayBuffers
    for (let turn = 0; turn < 10_000; turn++) {
      writer.put(ping(turn))
      writer.flush()
    }
    expect(client.writableLength).toBe(170_000)
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 * 1024 * 1024) // 40 MiB, had each its own page
  })
})
