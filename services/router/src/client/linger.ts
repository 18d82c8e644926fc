/**
 * Ends a connection so that its last answer arrives (RFC 9112 §9.6).
 *
 * Owns: closing our side when everything is written, and listening for a moment: unread bytes at close would make the kernel send a reset, which can
 * overtake the answer. Built against: an answer cut off at its end because the client takes it slowly, or has closed its own side.
 */
import type { Socket } from "node:net"
import type { Deadlines } from "../Deadlines.ts"
import { drainTime } from "./drainTime.ts"

/** What a client may still send before it is cut off. */
const maxBytes = 1024 * 1024
/** After everything was written. */
const listenMillis = 2000

/** The socket must have no other reader. `drainMillis`: for the client to take something of what is still to be written. */
export const linger = (socket: Socket, deadlines: Deadlines, drainMillis: number): void => {
  let bytes = 0
  let unwritten = socket.writableLength
  const watched = { place: 0, deadline: deadlines.now + drainTime(unwritten, drainMillis), onDeadline: () => onDeadline() }
  const onDeadline = () => {
    const taken = unwritten - socket.writableLength
    if (socket.writableFinished || taken === 0) socket.destroy()
    unwritten -= taken
    watched.deadline = deadlines.now + drainTime(unwritten, drainMillis)
  }
  const onHalf = () => {
    if (socket.writableFinished && socket.readableEnded) socket.destroy()
    else if (socket.writableFinished) watched.deadline = deadlines.now + listenMillis
  }
  deadlines.watch(watched)
  socket.on("finish", onHalf).on("close", () => deadlines.forget(watched))
  if (!socket.readableEnded) {
    socket.on("end", onHalf).on("data", (segment: Buffer) => {
      bytes += segment.length
      if (bytes > maxBytes) socket.destroy()
    })
    socket.resume()
  }
  socket.end()
}
