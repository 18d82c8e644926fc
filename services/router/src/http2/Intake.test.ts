/** What is held back of a stream, and what is told of its window: with doubles of its stream and its connection. */
import { describe, expect, it } from "vitest"
import type { Http2Connection } from "./Http2Connection.ts"
import { Intake } from "./Intake.ts"
import type { OwnStream } from "./OwnStream.ts"
import { streamWindow } from "./settings.ts"

const setUp = () => {
  const told = { credit: 0, windows: 0, pieces: [] as Array<string>, open: true, onPiece: () => {} }
  const connection = {
    now: 0,
    streams: { has: () => told.open },
    writer: { put: () => told.windows++ },
    credit: (length: number) => {
      told.credit += length
    }
  } as unknown as Http2Connection
  const stream = {
    id: 1,
    remoteEnded: false,
    deliver: (piece: Buffer) => {
      told.pieces.push(piece.toString())
      told.onPiece()
    },
    deliverEnd: (trailers: string) => told.pieces.push(`end ${trailers}`)
  } as unknown as OwnStream
  return { told, intake: new Intake(connection, stream) }
}
const receive = (intake: Intake, text: string, padding = 0) => intake.receive(Buffer.from(text), text.length + padding)

describe("a reader that wants no more", () => {
  it("gets all that came meanwhile as one piece, and the end behind it", () => {
    const { intake, told } = setUp()
    receive(intake, "a")
    intake.paused = true
    for (let at = 0; at < 1000; at++) receive(intake, "b", 2)
    intake.finish("trailers")
    expect(told).toMatchObject({ pieces: ["a"], credit: 1 })
    intake.resume()
    expect(told).toMatchObject({ pieces: ["a", "b".repeat(1000), "end trailers"], credit: 3001 })
  })

  it("holds the window back, which is never overrun", () => {
    const { intake, told } = setUp()
    intake.paused = true
    expect(receive(intake, "c".repeat(streamWindow - 5), 4)).toBe(true)
    expect(receive(intake, "d")).toBe(true)
    expect(receive(intake, "e")).toBe(false)
    expect(told).toMatchObject({ pieces: [], credit: 0, windows: 0 })
    intake.resume()
    expect(told).toMatchObject({ credit: streamWindow, windows: 1 })
  })

  it("may want no more again at once", () => {
    const { intake, told } = setUp()
    intake.paused = true
    receive(intake, "f")
    told.onPiece = () => {
      intake.paused = true
    }
    intake.resume()
    receive(intake, "g")
    expect(told).toMatchObject({ pieces: ["f"], credit: 0 })
    intake.resume()
    expect(told).toMatchObject({ pieces: ["f", "g"], credit: 0 })
    intake.resume()
    expect(told).toMatchObject({ pieces: ["f", "g"], credit: 2 })
  })
})

it("a stream that is over gives the connection its window back, and gets none itself", () => {
  const { intake, told } = setUp()
  intake.paused = true
  receive(intake, "h".repeat(100_000))
  expect(intake.letGo()).toBe(100_000)
  told.open = false
  receive(intake, "i".repeat(100_000))
  intake.resume()
  expect(told).toMatchObject({ credit: 100_000, windows: 0 })
})
