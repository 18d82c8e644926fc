/**
 * How long a client may keep its connection waiting, or one of its streams (E8, E9).
 *
 * Owns: whose doing a wait is, and whether it was too long. Leaves to `Http2Connection.ts`: looking once a second, ending what waits in vain.
 * Built against: a client that asks and doesn't take, nudges a window by a byte at a time, or stops in the middle of a body.
 */
import type { Socket } from "node:net"
import { drainTime } from "../client/drainTime.ts"
import type { ClientLimits } from "../client/Edge.ts"
import type { OwnStream } from "./OwnStream.ts"
import { Progress } from "./Progress.ts"
import type { ReceiveWindow } from "./ReceiveWindow.ts"

/**
 * For a window the client has so many times as long as for taking what was sent to it: it gives a window back half at a time, so that one that reads
 * 4 MiB at 70 KB/s is silent for half a minute and yet reads all the time.
 */
const windowPatience = 4

export class Patience {
  /** DATA of any stream left. */
  readonly sent = new Progress(0)
  private readonly socket: Socket
  private readonly limits: ClientLimits
  private readonly window: ReceiveWindow
  private taken = 0
  private takenAt = 0
  /** At the last look something waited already. */
  private waited = false

  constructor(socket: Socket, limits: ClientLimits, window: ReceiveWindow) {
    this.socket = socket
    this.limits = limits
    this.window = window
  }

  /** What was written has not all left yet. */
  get unsent(): boolean {
    const { socket } = this
    return socket.writableLength > 0 || (socket.writableEnded && !socket.writableFinished)
  }

  /** The client has taken nothing of what waits for it, for too long. To be asked again and again. */
  tookNothing(now: number): boolean {
    const { socket, unsent } = this
    const taken = socket.bytesWritten - socket.writableLength
    // What has begun to wait since the last look, which may be long ago, has its whole time.
    if (!unsent || !this.waited || taken !== this.taken) {
      this.taken = taken
      this.takenAt = now
    }
    this.waited = unsent
    return now - this.takenAt > drainTime(socket.writableLength, this.limits.drainMillis)
  }

  /** Why this stream has waited too long; undefined while it has not. */
  inVain(stream: OwnStream, now: number): string | undefined {
    const { bodyMillis, drainMillis } = this.limits
    if (stream.waiting) {
      // A window of its own that is open waits for the connection's, which its neighbours used: as long as anything moves its turn will come.
      const since = stream.sendWindow > 0 ? Math.max(stream.sentAt, this.sent.at) : stream.sentAt
      return now - since > windowPatience * drainMillis ? "client-too-slow" : undefined
    }
    if (!stream.owesBody || this.window.shut) return undefined
    return now - Math.max(stream.receivedAt, this.window.openedAt) > bodyMillis ? "body-too-slow" : undefined
  }
}
