/** Whose doing a wait is: by figures alone. */
import type { Socket } from "node:net"
import { describe, expect, it } from "vitest"
import type { ClientLimits } from "../client/Edge.ts"
import type { OwnStream } from "./OwnStream.ts"
import { Patience } from "./Patience.ts"
import { Progress } from "./Progress.ts"
import { ReceiveWindow } from "./ReceiveWindow.ts"

const limits = { bodyMillis: 100, drainMillis: 100 } as ClientLimits
const setUp = (socket: object = { writableLength: 0, writableEnded: false, bytesWritten: 0 }) => {
  const window = new ReceiveWindow(100_000)
  return { window, patience: new Patience(socket as Socket, limits, window) }
}
const stream = (fields: object) => ({ waiting: false, owesBody: false, sendWindow: 0, sentAt: 0, receivedAt: 0, ...fields }) as OwnStream

describe("a stream that waits for a window", () => {
  it("has four times the time to take what was sent: a client gives a window back half at a time", () => {
    const { patience } = setUp()
    expect(patience.inVain(stream({ waiting: true }), 400)).toBeUndefined()
    expect(patience.inVain(stream({ waiting: true }), 401)).toBe("client-too-slow")
  })

  it("waits for its own, whatever its neighbours do, or for the connection's, as long as anything moves", () => {
    const { patience } = setUp()
    patience.sent.moved(1024, 1000)
    expect(patience.inVain(stream({ waiting: true, sendWindow: 0 }), 1001)).toBe("client-too-slow")
    expect(patience.inVain(stream({ waiting: true, sendWindow: 5 }), 1400)).toBeUndefined()
    expect(patience.inVain(stream({ waiting: true, sendWindow: 5 }), 1401)).toBe("client-too-slow")
    expect(patience.inVain(stream({ waiting: true, sendWindow: 5, sentAt: 1200 }), 1600)).toBeUndefined()
  })
})

it("a byte now and then is no progress", () => {
  const sent = new Progress(5)
  for (let now = 6; now < 1000; now++) sent.moved(1, now)
  expect(sent.at).toBe(5)
  sent.moved(100, 1000)
  expect(sent.at).toBe(1000)
})

describe("a stream that waits for a body", () => {
  it("has its time from the last piece", () => {
    const { patience } = setUp()
    expect(patience.inVain(stream({ owesBody: true, receivedAt: 50 }), 150)).toBeUndefined()
    expect(patience.inVain(stream({ owesBody: true, receivedAt: 50 }), 151)).toBe("body-too-slow")
  })

  it("has all time while bodies that are held back use up the connection's window, and begins anew when that opens", () => {
    const { patience, window } = setUp()
    expect(window.take(95_000)).toBe(true)
    expect(patience.inVain(stream({ owesBody: true }), 10_000)).toBeUndefined()
    expect(window.done(95_000, 10_000)).toBe(95_000)
    expect(patience.inVain(stream({ owesBody: true }), 10_100)).toBeUndefined()
    expect(patience.inVain(stream({ owesBody: true }), 10_101)).toBe("body-too-slow")
  })
})

describe("the connection's window", () => {
  it("is given back when half of what isn't held back was used", () => {
    const { window } = setUp()
    window.take(40_000)
    expect(window.done(40_000, 0)).toBe(0)
    window.take(10_000)
    expect(window.done(10_000, 0)).toBe(50_000)
    window.take(80_000) // held back
    window.take(9999)
    expect(window.done(9999, 0)).toBe(0)
    window.take(2)
    expect(window.done(2, 0)).toBe(10_001)
    expect(window.take(20_000)).toBe(true)
    expect(window.take(1)).toBe(false)
  })
})

describe("a connection whose client doesn't read", () => {
  it("is told from a slow one by whether anything leaves", () => {
    const socket = { writableLength: 500, writableEnded: false, writableFinished: false, bytesWritten: 1000 }
    const { patience } = setUp(socket)
    expect(patience.tookNothing(0)).toBe(false)
    expect(patience.tookNothing(100)).toBe(false)
    expect(patience.tookNothing(101)).toBe(true)
    socket.writableLength = 400
    expect(patience.tookNothing(101)).toBe(false)
    socket.bytesWritten += 50
    socket.writableLength += 50 // more was written, nothing left
    expect(patience.tookNothing(202)).toBe(true)
    socket.writableLength = 0
    expect(patience.tookNothing(202)).toBe(false)
    expect(patience.tookNothing(1000)).toBe(false)
    socket.writableEnded = true // its end waits behind what the kernel has
    expect(patience.tookNothing(1101)).toBe(false)
    expect(patience.tookNothing(1201)).toBe(false)
    expect(patience.tookNothing(1202)).toBe(true)
  })

  it("has its whole time for what begins to wait after a pause without a look, and more for a long write", () => {
    const socket = { writableLength: 0, writableEnded: false, writableFinished: false, bytesWritten: 1000 }
    const { patience } = setUp(socket)
    expect(patience.tookNothing(0)).toBe(false)
    Object.assign(socket, { bytesWritten: 5000, writableLength: 4000 })
    expect(patience.tookNothing(10_000)).toBe(false)
    expect(patience.tookNothing(10_101)).toBe(true)
    Object.assign(socket, { bytesWritten: 201_000, writableLength: 128 * 1024 })
    expect(patience.tookNothing(20_000)).toBe(false)
    expect(patience.tookNothing(20_400)).toBe(false)
    expect(patience.tookNothing(20_401)).toBe(true)
  })
})
