/**
 * Reads one HTTP/1 response off a connection, segment by segment.
 *
 * Owns: finding the head, skipping interim responses, delimiting the body (RFC 9112 §6.3), saying whether the connection is clean afterwards.
 * Leaves to `OriginConnection.ts`: the socket; to `ExchangeClient`: the answer. Built against: early, doubled, endless and ambiguous responses (E4).
 */
import type { ExchangeClient, ResponseBody } from "../exchange/Exchange.ts"
import { Gathered } from "../Gathered.ts"
import { ChunkedReader } from "../http1/ChunkedReader.ts"
import { maxHeadBytes } from "../http1/fields.ts"
import { HeadSearch } from "../http1/HeadSearch.ts"
import { isRefusal, type Refusal, refuse } from "../http1/Refusal.ts"
import type { RepeatedHead } from "../http1/RepeatedHead.ts"
import { type ResponseHead, readResponseHead } from "../http1/responseHead.ts"
import { readTrailers } from "../http1/trailers.ts"

/** More interim responses than this are a flood. */
const maxInterim = 16
const nothing = Buffer.alloc(0)
const search = new HeadSearch()

export type ReadState = "head" | "body" | "done" | "upgraded"

export class ResponseReader {
  state: ReadState = "head"
  /** Any byte of the response was seen: the request was taken, and must not be sent again. */
  started = false
  head: ResponseHead | undefined
  /** Bytes behind the response, or behind a 101's head. */
  rest: Buffer = nothing
  /** Reading went on after a pause was asked for, which is harmless: it is what `paused` is for. */
  paused = false
  /** An unfinished head, `looked` bytes of which were looked at. */
  private held: Gathered | undefined
  private looked = 0
  private interim = 0
  private remaining = 0
  private chunked: ChunkedReader | undefined
  private readonly client: ExchangeClient
  private readonly method: string
  private readonly websocket: boolean

  constructor(client: ExchangeClient, method: string, websocket: boolean) {
    this.client = client
    this.method = method
    this.websocket = websocket
  }

  /** The body ends where the connection does. */
  get untilClose(): boolean {
    return this.state === "body" && this.chunked === undefined && this.remaining < 0
  }

  /**
   * The first `length` bytes are what came. They are valid during the call, and views of them cost more than to pass on where they begin and end.
   * `repeated`: of the origin.
   */
  read(segment: Buffer, length = segment.length, repeated?: RepeatedHead): Refusal | undefined {
    this.started = true
    let [bytes, start, end] = [segment, 0, length]
    while (this.state === "head") {
      if (start > 0 || this.held !== undefined) {
        bytes = this.gathered(bytes.subarray(start, end))
        end = bytes.length
      }
      start = search.find(bytes, this.looked, end, repeated)
      if (start < 4 || start > maxHeadBytes) {
        if (end >= maxHeadBytes) return refuse(502, "origin-head-too-large")
        this.hold(bytes, end)
        return undefined
      }
      this.held = undefined
      this.looked = 0
      const refusal = this.takeHead(bytes, start, repeated)
      if (refusal !== undefined) return refusal
    }
    return this.takeBody(bytes, start, end)
  }

  /** Behind what is held of an unfinished head; by itself behind an interim response. */
  private gathered(bytes: Buffer): Buffer {
    this.held?.add(bytes)
    return this.held?.bytes ?? bytes
  }

  private hold(unfinished: Buffer, length: number): void {
    this.looked = length
    if (this.held !== undefined || length === 0) return
    this.held = new Gathered()
    this.held.add(Buffer.from(unfinished.subarray(0, length))) // what came is valid in this turn only
  }

  private takeHead(bytes: Buffer, length: number, repeated: RepeatedHead | undefined): Refusal | undefined {
    const head = readResponseHead(bytes, length, search.scanned, repeated)
    if (isRefusal(head)) return head
    if (head.status >= 200) return this.begin(head)
    if (head.status === 101) {
      if (!this.websocket || !head.websocket) return refuse(502, "origin-unasked-upgrade")
      this.head = head
      this.state = "upgraded"
      return undefined
    }
    if (++this.interim > maxInterim) return refuse(502, "origin-interim-flood")
    if (head.status === 100) this.client.proceed()
    else this.client.interim(head)
    return undefined
  }

  private begin(head: ResponseHead): undefined {
    this.head = head
    const body = this.bodyOf(head)
    this.state = body === "none" || (body === "length" && head.length === 0) ? "done" : "body"
    if (body === "length") this.remaining = head.length
    else if (head.chunked && body === "stream") this.chunked = new ChunkedReader()
    else if (body === "stream") this.remaining = -1
    this.client.respond(head, body)
    if (this.state === "done") this.client.end("")
  }

  private bodyOf(head: ResponseHead): ResponseBody {
    if (this.method === "HEAD" || head.status === 204 || head.status === 304) return "none"
    return head.length >= 0 ? "length" : "stream"
  }

  private takeBody(bytes: Buffer, start: number, end: number): Refusal | undefined {
    if (this.state !== "body" || start === end) {
      this.rest = start === end ? nothing : bytes.subarray(start, end)
      return undefined
    }
    if (this.chunked !== undefined) return this.takeChunks(this.chunked, bytes.subarray(start, end))
    const bodyEnd = this.remaining < 0 ? end : Math.min(end, start + this.remaining)
    if (this.remaining > 0) this.remaining -= bodyEnd - start
    if (this.remaining === 0) this.state = "done"
    this.rest = bodyEnd === end ? nothing : bytes.subarray(bodyEnd, end)
    if (!this.client.data(bytes, start, bodyEnd)) this.paused = true
    if (this.remaining === 0) this.client.end("")
    return undefined
  }

  private takeChunks(chunked: ChunkedReader, bytes: Buffer): Refusal | undefined {
    const next = chunked.read(bytes, 0, {
      onData: (piece) => {
        if (!this.client.data(piece, 0, piece.length)) this.paused = true
      }
    })
    if (typeof next !== "number") return refuse(502, `origin-${next.code}`)
    if (!chunked.done) return undefined
    const trailers = readTrailers(chunked.trailers)
    if (typeof trailers !== "string") return refuse(502, `origin-${trailers.code}`)
    this.rest = bytes.subarray(next)
    this.state = "done"
    this.client.end(trailers)
    return undefined
  }

  /** The origin closed its side. True when that properly ends the response. */
  closed(): boolean {
    if (!this.untilClose) return this.state === "done"
    this.state = "done"
    this.client.end("")
    return true
  }

  /** The connection may carry another request: everything was delimited, nothing came behind it, and the origin keeps it open. */
  get reusable(): boolean {
    const head = this.head
    if (this.state !== "done" || head === undefined || head.close || this.rest.length > 0) return false
    const undelimited = this.method !== "HEAD" && head.status !== 304 && head.length < 0 && !head.chunked && head.status !== 204
    return !undelimited && !(head.status === 204 && (head.chunked || head.length > 0))
  }
}
