/**
 * One raw HTTP/1 message and what must happen to it.
 *
 * Owns: the form of a case. The cases are data; `corpus.test.ts` judges them with the pure reader, `corpus.integration.test.ts` sends each over TLS
 * through a running edge and looks at what the origin got, `readAlike.integration.test.ts` with nginx and haproxy between the two.
 */
export interface RawCase {
  readonly name: string
  /** One code unit per byte. */
  readonly bytes: string
  /** The status that the client is answered before the edge closes, or `served`: the origin gets it as one request. */
  readonly expect: number | "served"
  /** The sentence that decides. */
  readonly why: string
  /** For `served`: the body that the origin must read. */
  readonly body?: string
  /** For `served`: request line and lines that the origin must see. */
  readonly forwarded?: ReadonlyArray<string>
  /** For `served`: what the origin must not see. */
  readonly absent?: ReadonlyArray<string>
  /** For a pipeline: method, target and body of each request that the origin must read. One request otherwise. */
  readonly requests?: ReadonlyArray<readonly [method: string, target: string, body: string]>
  /** For a pipeline that ends in a refused message: its status. The requests before it are served. */
  readonly refusedBehind?: number
}

/** The name that the cases are sent for. */
export const host = "shop.example.org"

/** A GET of `/` with Host and these further lines. */
export const get = (...lines: ReadonlyArray<string>): string => message("GET / HTTP/1.1", `Host: ${host}`, ...lines)

/** A POST with Host, these further lines, and the bytes of `body` behind the head. */
export const post = (body: string, ...lines: ReadonlyArray<string>): string =>
  `${message("POST / HTTP/1.1", `Host: ${host}`, ...lines)}${body}`

export const message = (...lines: ReadonlyArray<string>): string => `${lines.join("\r\n")}\r\n\r\n`

/** Cases that only differ in one text. */
export const each = (
  names: Readonly<Record<string, string>>,
  expect: RawCase["expect"],
  why: string,
  bytes: (text: string) => string
): ReadonlyArray<RawCase> => Object.entries(names).map(([name, text]) => ({ name, bytes: bytes(text), expect, why }))
