/**
 * Lets go of everything that a closed socket knows.
 *
 * Built against: the wrapper of a closed handle of Node's, which V8's young collections take for alive until the next full one, and with it the socket, its
 * listeners and all that these close over: a busy edge then copies every finished connection twice.
 */
import type { Socket } from "node:net"

const ignore = (): void => {}
/** To be called when it tells its close; the other listeners for that are called all the same. */
export const forgetListeners = (socket: Socket): void => {
  socket.removeAllListeners()
  socket.on("error", ignore)
}

/** The same as a listener for the close. */
export function forgetOwnListeners(this: Socket): void {
  forgetListeners(this)
}
