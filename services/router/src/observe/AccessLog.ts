/**
 * One JSON line per request, off by default.
 *
 * Owns: which requests are written, and buffering. Leaves to the operator: where standard output goes. A line never holds a query, cookie, body or
 * authorisation. Built against: a log that costs more than the requests: lines are put into one buffer and leave together, and a reader that is too
 * slow, or gone, loses lines (counted), not the edge its memory.
 */
import type { Writable } from "node:stream"
import { isRead } from "@connect-domain/telemetry/standardOutput.ts"
import { Config } from "effect"
import { giveBack, largeBytes, takeLarge } from "../bufferPool.ts"
import type { RequestRecord } from "./RequestRecord.ts"

/** `CD_EDGE_ACCESS_LOG`: `off` (default), `sampled` (1 % and every answer of 5xx), or `full`. */
export const AccessLogMode = Config.Literals(["off", "sampled", "full"], "CD_EDGE_ACCESS_LOG").pipe(Config.withDefault("off" as const))

const sampleRate = 0.01
const flushMillis = 100

const plain = /^[ !#-[\]-~]*$/
const beyondAscii = /[^\x00-\x7f]/g
const escaped = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`
/** Paths were checked by the readers and need no escaping; this holds even if one were not. A line is ASCII: one byte for each code unit. */
const quoted = (text: string): string => (plain.test(text) ? `"${text}"` : JSON.stringify(text).replace(beyondAscii, escaped))

const hundredths = Array.from({ length: 100 }, (_, at) => `.${String(at).padStart(2, "0")}`)
/** Milliseconds with two digits behind the point: a fraction as text costs V8 more than the rest of a line. */
const milliseconds = (millis: number): string => {
  const all = Math.round(millis * 100)
  const whole = Math.floor(all / 100)
  return whole + hundredths[all - whole * 100]!
}

export class AccessLog {
  lost = 0
  private held: Buffer | undefined
  private at = 0
  /** Lines in it. */
  private lines = 0
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
    if (!isRead(this.out)) {
      this.lost++
      return
    }
    if (this.mode === "sampled" && record.status < 500 && Math.random() >= sampleRate) return
    const line = this.line(record)
    if (this.at + line.length > largeBytes) this.flush()
    if (this.at + line.length > largeBytes) {
      this.lost++
      return
    }
    this.held ??= takeLarge()
    this.lines++
    this.at += this.held.write(line, this.at, "latin1")
    this.timer ??= setTimeout(() => this.flush(), flushMillis).unref()
  }

  private line(record: RequestRecord): string {
    const { code, connectionId, method, host, path, serverName } = record
    const named = serverName === "" ? "" : `,"server_name":"${serverName}"`
    const more = `${code === "" ? "" : `,"code":"${code}"`}${connectionId === "" ? "" : `,"connection_id":${quoted(connectionId)}`}${named}`
    return (
      `{"at":"${this.timestamp()}","kind":"access","request_id":"${record.requestId}","protocol":"${record.protocol}","scheme":"${record.scheme}",` +
      `"client":"${record.address}","method":"${method}","host":"${host}","path":${quoted(path)},"status":${record.status}${more},` +
      `"bytes_in":${record.bytesIn},"bytes_out":${record.bytesOut},"ms":${milliseconds(record.millis)}}\n`
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
    const { at, held, lines } = this
    if (held === undefined || this.out.writableNeedDrain) return
    this.held = undefined
    this.at = 0
    this.lines = 0
    this.out.write(held.subarray(0, at), (error) => {
      giveBack(held)
      if (error instanceof Error) this.lost += lines
    })
  }
}
