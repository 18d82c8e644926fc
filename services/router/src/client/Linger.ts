/**
 * Ends a connection so that its last answer arrives (RFC 9112 §9.6).
 *
 * Owns: closing our side when everything is written, and listening for a moment: unread bytes at close would make the kernel send a reset, which can
 * overtake the answer. At once where the client has ended its side and has everything. Built against: an answer cut off at its end because the client takes it slowly, or has closed its own side.
 */
import type { Socket } from "node:net"
import type { Deadlines, Watched } from "../Deadlines.ts"
import { drainTime } from "./drainTime.ts"

/** What a client may still send before it is cut off. */
const maxBytes = 1024 * 1024
/** After everything was written. */
const listenMillis = 2000

/** Both sides have said everything. */
const isOver = (socket: Socket): boolean => socket.readableEnded && socket.writableLength === 0

/** Ends it; what is returned has to be told what its socket tells the connection. */
export const closeGently = (socket: Socket, deadlines: Deadlines, drainMillis: number): Linger | undefined => {
  if (!isOver(socket)) return new Linger(socket, deadlines, drainMillis)
  closeAtOnce(socket)
  return undefined
}

/** Without waiting for anything. To a client that has said farewell we do as well (RFC 8446 §6.1): `end` writes that before it returns. */
export const closeAtOnce = (socket: Socket): void => {
  if (isOver(socket)) socket.end()
  socket.destroy()
}

export class Linger implements Watched {
  place = 0
  deadline = 0
  private readonly socket: Socket
  private readonly deadlines: Deadlines
  private readonly drainMillis: number
  private unwritten: number
  private bytes = 0

  /** `drainMillis`: for the client to take something of what is still to be written. */
  constructor(socket: Socket, deadlines: Deadlines, drainMillis: number) {
    this.socket = socket
    this.deadlines = deadlines
    this.drainMillis = drainMillis
    this.unwritten = socket.writableLength
    this.limit()
    deadlines.watch(this)
    socket.on("finish", () => this.onHalf())
    if (!socket.readableEnded) socket.resume()
    socket.end()
  }

  private limit(): void {
    this.deadline = this.deadlines.now + drainTime(this.unwritten, this.drainMillis)
  }

  onDeadline(): void {
    const { socket } = this
    const taken = this.unwritten - socket.writableLength
    if (socket.writableFinished || taken === 0) socket.destroy()
    this.unwritten -= taken
    this.limit()
  }

  /** The client has sent so many more bytes. */
  onData(length: number): void {
    this.bytes += length
    if (this.bytes > maxBytes) this.socket.destroy()
  }

  /** One side is closed. */
  onHalf(): void {
    const { socket } = this
    if (!socket.writableFinished) return
    if (socket.readableEnded) socket.destroy()
    else this.deadline = this.deadlines.now + listenMillis
  }

  onClose(): void {
    this.deadlines.forget(this)
  }
}
