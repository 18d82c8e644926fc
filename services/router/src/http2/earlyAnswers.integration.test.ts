/** An answer that comes before the request's end (RFC 9113 §8.1): complete, then the rest is declined, in a TLS record of its own. */
import { describe, expect, it } from "vitest"
import { encodeFields } from "../testing/encodeFields.ts"
import { TestEdge } from "../testing/TestEdge.ts"
import { Flag, FrameType, frameHeader, preface, settingsFrame } from "./frames.ts"

const host = "shop.example.org"

/** Types of the frames of a stream, of each piece as TLS gave it: one record. A frame that goes on in the next piece is not expected. */
const typesOf = (piece: Buffer): ReadonlyArray<number> => {
  const types: Array<number> = []
  for (let at = 0; at + 9 <= piece.length; at += 9 + piece.readUIntBE(at, 3))
    if (piece.readUInt32BE(at + 5) !== 0) types.push(piece[at + 3]!)
  return types
}

const headers = (method: string, authority: string, fields: ReadonlyArray<string> = []) => {
  const request = [":method", method, ":scheme", "https", ":authority", authority, ":path", "/", "content-length", "1000"]
  const block = encodeFields([...request, ...fields])
  return frameHeader(block.length, FrameType.Headers, Flag.EndHeaders, 1) + block
}

describe.each([
  { http2: "own", alone: true },
  // node:http2 may write an answer in several records, and end one without a body by an empty frame.
  { http2: "node", alone: false }
] as const)("the codec $http2", ({ http2, alone }) => {
  it.each([
    ["of the edge's own", headers("POST", host, ["expect", "tea"]), [FrameType.Headers, FrameType.Data]],
    ["without a body", headers("HEAD", "other.example.org"), [FrameType.Headers]]
  ])(
    "E9: an early answer %s comes whole, and its reset in another TLS record: curl 7.88 loses both when they come in one",
    async (_, bytes, answer) => {
      const edge = await TestEdge.start({ http2 })
      await edge.add(host, null)
      const socket = await edge.connect(host, { alpn: ["h2"] })
      const records: Array<ReadonlyArray<number>> = []
      const reset = new Promise<void>((resolve) => {
        socket.on("data", (piece: Buffer) => {
          records.push(typesOf(piece))
          if (records.at(-1)!.includes(FrameType.RstStream)) resolve()
        })
      })
      socket.write(preface.toString("latin1") + settingsFrame([]) + bytes, "latin1")
      await reset
      const told = records.filter((types) => types.length > 0)
      if (alone) expect(told).toEqual([answer, [FrameType.RstStream]])
      expect(told.at(-1)).toEqual([FrameType.RstStream])
      expect(told.slice(0, -1).flat()).toEqual(expect.arrayContaining(answer))
      socket.destroy()
      await edge.stop()
    }
  )
})
