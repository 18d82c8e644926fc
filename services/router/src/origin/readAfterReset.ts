/**
 * An answer that was there before its connection broke.
 *
 * Owns: what a failed write does to a connection. An origin may answer before it has read the request, and reset the connection at once (413 to an
 * upload). The kernel still gives what came before the reset, but Node destroys a socket as soon as a write fails. So such a write is
 * reported when reading has come to its end, right behind the last byte; until then nothing more is written.
 */
import type { Socket } from "node:net"

type Written = (error?: Error | null) => void

/** To be called once for a connection, before anything is written to it. An end that follows a failed write is no end: `socket.errored` is set when it is told. */
export const readAfterReset = (socket: Socket): void => {
  const write = socket._write
  const writev = socket._writev
  let [known, wrapped]: [Written | undefined, Written] = [undefined, () => {}]
  /** A stream hands out the same function for each write. */
  const untilRead = (written: Written): Written => {
    if (written === known) return wrapped
    known = written
    wrapped = (error) => {
      if (error) socket.prependOnceListener("end", () => written(error))
      else written()
    }
    return wrapped
  }
  socket._write = (chunk, encoding, written) => write.call(socket, chunk, encoding, untilRead(written))
  if (writev !== undefined) socket._writev = (chunks, written) => writev.call(socket, chunks, untilRead(written))
}
