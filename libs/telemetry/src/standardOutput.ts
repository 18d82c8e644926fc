/**
 * Standard output and standard error, whose reader may go: a log shipper that was restarted, a pipe into a program that has ended.
 *
 * Owns: that neither ends the process (an `error` event that nobody listens to would), the count of what could not be written, and that nothing is
 * written any more once nobody reads. Another failure, such as a full disk, may pass: the next write is tried. Leaves to the logger and to the
 * router's access log: what they write.
 */
import type { Writable } from "node:stream"
import { Context, Metric } from "effect"

const failed = Metric.counter("log_writes_failed_total", {
  description: "writes to standard output or standard error that failed, or were left out because nobody reads any more",
  incremental: true
})
const abandoned = new WeakSet<Writable>()

const count = () => failed.updateUnsafe(1, Context.empty())

/** Whether anybody reads what is written there, as far as is known. */
export const isRead = (out: Writable): boolean => !abandoned.has(out)

/** From now on the process outlives the stream's reader. */
export const outliveReader = (out: Writable): void => {
  out.on("error", (error: NodeJS.ErrnoException) => {
    count()
    if (error.code === "EPIPE") abandoned.add(out)
  })
}

/** A line of the log. */
export const writeLine = (line: string): void => {
  if (isRead(process.stdout)) process.stdout.write(line)
  else count()
}
