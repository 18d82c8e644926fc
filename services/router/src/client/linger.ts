/**
 * Ends a connection so that its last answer arrives (RFC 9112 §9.6).
 *
 * Owns: closing our side first, and listening for a moment: unread bytes at close would make the kernel send a reset, which can overtake the answer.
 */
import type { Socket } from "node:net"
import type { Deadlines } from "../Deadlines.ts"

/** What a client may still send before it is cut off. */
const maxBytes = 1024 * 1024
const millis = 2000

/** The socket must have no other reader. */
export const linger = (socket: Socket, deadlines: Deadlines): void => {
  let bytes = 0
  const watched = { place: 0, deadline: deadlines.now + millis, onDeadline: () => socket.destroy() }
  deadlines.watch(watched)
  socket.on("data", (segment: Buffer) => {
    bytes += segment.length
    if (bytes > maxBytes) socket.destroy()
  })
  socket.once("end", () => socket.destroy())
  socket.once("close", () => deadlines.forget(watched))
  socket.end()
  if (socket.readableEnded) socket.once("finish", () => socket.destroy())
  else socket.resume()
}
