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
import { giveBack, largeBytes, takeBuffer } from "../bufferPool.ts"
import { putDigits, putHundredths, putNumber, putText } from "../lineBytes.ts"
import { RepeatedBytes } from "../RepeatedBytes.ts"
import type { RequestRecord } from "./RequestRecord.ts"

/** `CD_EDGE_ACCESS_LOG`: `off` (default), `sampled` (1 % and every answer of 5xx), or `full`. */
export const AccessLogMode = Config.Literals(["off", "sampled", "full"], "CD_EDGE_ACCESS_LOG").pipe(Config.withDefault("off" as const))

const sampleRate = 0.01
const flushMillis = 100

/** Stands in a JSON string as it is. A loop: for a path it is quicker than a regular expression. */
const isPlain = (text: string): boolean => {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code < 32 || code > 126 || code === 34 || code === 92) return false
  }
  return true
}
const beyondAscii = /[^\x00-\x7f]/g
const escaped = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`
/** Paths were checked by the readers and need no escaping; this holds even if one were not. A line is ASCII: one byte for each code unit. */
const asJson = (text: string): string => JSON.stringify(text).slice(1, -1).replace(beyondAscii, escaped)

/** What stands between the id and the path, kept with the client's connection: its requests differ in it seldom. */
const aboutRequest = (record: RequestRecord): RepeatedBytes => {
  const { connectionId, host, method, peer, protocol } = record
  const last = peer.logged
  if (
    last !== undefined &&
    last.host === host &&
    last.connectionId === connectionId &&
    last.method === method &&
    last.protocol === protocol
  )
    return last.text
  const id = isPlain(connectionId) ? connectionId : asJson(connectionId)
  const connection = connectionId === "" ? "" : `,"connection_id":"${id}"`
  const text = new RepeatedBytes(
    `","protocol":"${protocol}","scheme":"${peer.scheme}","client":"${peer.address}"${connection},"method":"${method}","host":"${host}","path":"`
  )
  peer.logged = { connectionId, host, method, protocol, text }
  return text
}

/** Where the time stands in a line, and its milliseconds in the time. */
const timeAt = '{"at":"'.length
const millisAt = "2026-11-30T12:34:56.".length

/** Of one code unit, at most. */
const escapedBytes = 6
/** More than all of a line that is not text of the request. */
const lineBytes = 512

export class AccessLog {
  lost = 0
  private held: Buffer | undefined
  private at = 0
  /** Lines in it. */
  private lines = 0
  /** What each line begins with, with the time of the last one. */
  private readonly beginning = Buffer.from(`{"at":"${new Date(0).toISOString()}","kind":"access","request_id":"`)
  private millis = 0
  /** By status. */
  private readonly plain: Array<RepeatedBytes | undefined> = new Array(1000)
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
    const path = isPlain(record.path) ? record.path : asJson(record.path)
    const most = lineBytes + path.length + record.host.length + escapedBytes * record.connectionId.length + record.peer.serverName.length
    if (this.at + most > largeBytes) this.flush()
    if (this.at + most > largeBytes) {
      this.lost++
      return
    }
    this.held ??= takeBuffer(largeBytes)
    this.lines++
    this.at = this.line(this.held, record, path)
    this.timer ??= setTimeout(() => this.flush(), flushMillis).unref()
  }

  private line(out: Buffer, record: RequestRecord, path: string): number {
    const { code, host, peer } = record
    let at = this.putBeginning(out, this.at)
    at = record.requestId.putInto(out, at)
    at = aboutRequest(record).putInto(out, at)
    at = putText(out, at, path)
    if (code === "" && host !== "" && record.bytesIn === 0) at = this.plainOutcome(record.status).putInto(out, at)
    else {
      at = putNumber(out, putText(out, at, '","status":'), record.status)
      if (code !== "") at = putText(out, putText(out, putText(out, at, ',"code":"'), code), '"')
      if (host === "" && peer.serverName !== "") at = putText(out, putText(out, putText(out, at, ',"server_name":"'), peer.serverName), '"')
      at = putNumber(out, putText(out, at, ',"bytes_in":'), record.bytesIn)
      at = putText(out, at, ',"bytes_out":')
    }
    at = putNumber(out, at, record.bytesOut)
    if (record.originMillis >= 0) at = putHundredths(out, putText(out, at, ',"origin_ms":'), record.originMillis)
    at = putHundredths(out, putText(out, at, ',"ms":'), record.millis)
    return putText(out, at, "}\n")
  }

  /** Of a request without a body that an origin answered; origins choose the status, of which there are few. */
  private plainOutcome(status: number): RepeatedBytes {
    this.plain[status] ??= new RepeatedBytes(`","status":${status},"bytes_in":0,"bytes_out":`)
    return this.plain[status]
  }

  /** Its time is that of now; within a second its milliseconds alone are written anew. */
  private putBeginning(out: Buffer, start: number): number {
    const { beginning } = this
    const now = Date.now()
    if (now !== this.millis) {
      const second = Math.floor(now / 1000)
      if (second !== Math.floor(this.millis / 1000)) putText(beginning, timeAt, new Date(now).toISOString())
      putDigits(beginning, timeAt + millisAt, now - second * 1000, 3)
      this.millis = now
    }
    out.set(beginning, start)
    return start + beginning.length
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
