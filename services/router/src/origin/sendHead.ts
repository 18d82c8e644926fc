/**
 * A request's head on its way to the origin.
 *
 * Owns: the memory that heads are written in, which is one piece for all of the process: nearly always the kernel takes a head at once, and then nobody looks
 * at its bytes any more. Leaves to `forwardHead.ts`: what stands in it. Built against: a head that V8 joins of eight texts, only to copy it once more.
 */
import type { Socket } from "node:net"
import { type Forwarded, headRoom, putHead } from "../exchange/forwardHead.ts"

const sharedBytes = 8 * 1024

const noViews = (): Array<Buffer | undefined> => new Array(sharedBytes + 1)

let shared = Buffer.allocUnsafeSlow(sharedBytes)
/** Of `shared`, by their length, which few heads differ in. */
let views = noViews()

/** Nobody else has these bytes. */
const ownBytes = (forwarded: Forwarded, room: number): Buffer => {
  const bytes = Buffer.allocUnsafe(room)
  return bytes.subarray(0, putHead(bytes, forwarded))
}

/** `secure`: over TLS, which tells later that it took the bytes. */
export const sendHead = (socket: Socket, forwarded: Forwarded, secure: boolean): void => {
  const room = headRoom(forwarded)
  if (room > sharedBytes || secure || socket.writableCorked > 0) {
    socket.write(ownBytes(forwarded, room))
    return
  }
  const length = putHead(shared, forwarded)
  views[length] ??= shared.subarray(0, length)
  socket.write(views[length])
  if (socket.writableLength === 0) return
  shared = Buffer.allocUnsafeSlow(sharedBytes)
  views = noViews()
}
