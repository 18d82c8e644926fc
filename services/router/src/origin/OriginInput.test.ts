/** E8: what a client that takes nothing holds of the edge's buffers, and that nobody's bytes are read over. */
import type { Socket } from "node:net"
import { describe, expect, it } from "vitest"
import { largeBytes, mediumBytes } from "../bufferPool.ts"
import { OriginInput } from "./OriginInput.ts"

/** Reads as Node does: into the buffer that was named last, after which the next one is asked for. */
const start = (input: OriginInput) => {
  let buffer = input.onread.buffer()
  const read = (room: boolean, long: OriginInput["long"], hold = true): (() => void) | undefined => {
    let release: (() => void) | undefined
    input.receive = () => {
      input.long = long
      if (hold) release = input.hold()
      return room
    }
    input.onread.callback(buffer.length, buffer)
    buffer = input.onread.buffer()
    return release
  }
  return { read, buffer: () => buffer }
}
const listener = () => {
  const told = { resumed: 0 }
  return { told, socket: { resume: () => told.resumed++ } as unknown as Socket }
}

describe("E8: the buffers that an origin is read into", () => {
  it("E8: one is lent for a client that waits, none beside it, and it is read into again when that client has taken it", () => {
    const { told, socket } = listener()
    const input = new OriginInput()
    const { read, buffer } = start(input)
    read(true, mediumBytes)
    const lent = buffer()
    expect(lent.length).toBe(mediumBytes)
    const release = read(false, mediumBytes)!
    expect(buffer()).toBe(lent)
    input.resume(socket)
    expect(told.resumed).toBe(0)
    release()
    expect(told.resumed).toBe(1)
    expect(input.paused).toBe(false)
  })

  it("E4: a lent buffer is not read into before it is given back, whoever else waits for one", () => {
    const input = new OriginInput()
    const { read, buffer } = start(input)
    read(true, mediumBytes)
    const lent = buffer()
    const release = read(true, mediumBytes)!
    expect(buffer()).not.toBe(lent)
    const other = start(new OriginInput())
    other.read(true, mediumBytes)
    expect(other.buffer()).not.toBe(lent)
    release()
    release() // once is enough
    const [third, fourth] = [start(new OriginInput()), start(new OriginInput())]
    for (const each of [third, fourth]) each.read(true, mediumBytes)
    expect(third.buffer()).toBe(lent)
    expect(fourth.buffer()).not.toBe(lent)
  })

  it("E8: the same one is read into over and over as long as its bytes are copied", () => {
    const { read, buffer } = start(new OriginInput())
    read(true, mediumBytes, false)
    const own = buffer()
    for (const room of [true, false, true]) read(room, mediumBytes, false)
    expect(buffer()).toBe(own)
  })

  it("larger ones follow once the client is known to read, and the small one of all when the body is over", () => {
    const input = new OriginInput()
    const { read, buffer } = start(input)
    const small = buffer()
    read(true, mediumBytes)
    const release = read(false, largeBytes)
    expect(buffer().length).toBe(largeBytes)
    release!()
    read(true, 0)
    expect(buffer()).toBe(small)
  })
})
