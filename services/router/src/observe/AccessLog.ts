/**
 * One JSON line per request, off by default.
 *
 * Owns: which requests are written, and buffering. Leaves to the operator: where standard output goes. A line never holds a query, cookie, body or
 * authorisation. Built against: a log that costs more than the requests: lines are put into one buffer and leave together, and a reader that is too
 * slow loses lines (counted), not the edge its memory.
 */
import type { Writable } from "node:stream"
import { Config } from "effect"
import { giveLarge, largeBytes, takeLarge } from "../bufferPool.ts"
import type { RequestRecord } from "./RequestRecord.ts"

/** `CD_EDGE_ACCESS_LOG`: `off` (default), `sampled` (1 % and every answer of 5xx), or `full`. */
export const AccessLogMode = Config.Literals(["off", "sampled", "full"], "CD_EDGE_ACCESS_LOG").pipe(Config.withDefault("off" as const))

const sampleRate = 0.01
const flushMillis = 100

const plain = /^[ !#-[\]-~]*$/
/** Paths were checked by the readers and need no escaping; this holds even if one were not. */
const quoted = (text: string): string => (plain.test(text) ? `"${text}"` : JSON.stringify(text))

export class AccessLog {
  lost = 0
  private held: Buffer | undefined
  private at = 0
  private formatted = { at: 0, text: "" }
  private timer: NodeJS.Timeout | undefined
  private readonly mode: "off" | "sampled" | "full"
  private readonly out: Writable

  constructor(mode: "off" | "sampled" | "full", out: Writable = process.stdout) {
    this.mode = mode
    this.out = out
  }

  write(record: RequestRecord): void {
    if (this.mode === "off") return
    if (this.mode === "sampled" && record.status < 500 && Math.random() >= sampleRate) return
    const line = this.line(record)
    // One code unit becomes at most three bytes.
    if (this.at + line.length * 3 > largeBytes) this.flush()
    if (this.at + line.length * 3 > largeBytes) {
      this.lost++
      return
    }
    this.held ??= takeLarge()
    this.at += this.held.write(line, this.at)
    this.timer ??= setTimeout(() => this.flush(), flushMillis).unref()
  }

  private line(record: RequestRecord): string {
    const { code, connectionId, method, host, path } = record
    const more = `${code === "" ? "" : `,"code":"${code}"`}${connectionId === "" ? "" : `,"connection_id":${quoted(connectionId)}`}`
    return (
      `{"at":"${this.timestamp()}","kind":"access","request_id":"${record.requestId}","protocol":"${record.protocol}","scheme":"${record.scheme}",` +
      `"client":"${record.address}","method":"${method}","host":"${host}","path":${quoted(path)},"status":${record.status}${more},` +
      `"bytes_in":${record.bytesIn},"bytes_out":${record.bytesOut},"ms":${Math.round(record.millis * 100) / 100}}\n`
    )
  }

  /** To the millisecond, formatted once for each. */
  private timestamp(): string {
    const now = Date.now()
    if (now !== this.formatted.at) this.formatted = { at: now, text: new Date(now).toISOString() }
    return this.formatted.text
  }

  flush(): void {
    clearTimeout(this.timer)
    this.timer = undefined
    const { at, held } = this
    if (held === undefined || this.out.writableNeedDrain) return
    this.held = undefined
    this.at = 0
    this.out.write(held.subarray(0, at), () => giveLarge(held))
  }
}
