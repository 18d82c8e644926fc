/**
 * One HTTP request to the outside: bounded in time and size, to allowed addresses only, no redirect followed.
 *
 * Owns: URL rules, time and size limits, reading the body. Leaves to the caller: what a status means, retrying, signing.
 */
import { Context, Effect, Layer } from "effect"
import type { Dispatcher } from "undici"
import { type AddressPolicy, addressPolicy } from "./AddressPolicy.ts"
import { type CheckedAgentOptions, makeCheckedAgent } from "./checkedAgent.ts"
import { EgressError } from "./EgressError.ts"

export interface RequestOptions {
  /** Default GET. */
  readonly method?: Dispatcher.HttpMethod
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Uint8Array | string
  /** From the start to the last byte of the answer; default 10,000. */
  readonly timeoutMs?: number
  /** Largest body that is read; default 1 MiB. A longer one fails with `TooLarge`, or is cut off with `truncate`. */
  readonly maxBytes?: number
  readonly truncate?: boolean
}

export interface Answer {
  readonly status: number
  /** Names in lower case; a header that came several times is joined with ", ". */
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array
}

export class HttpClient extends Context.Service<
  HttpClient,
  {
    /** Any status is a success, 3xx included. Interruption closes the connection. */
    readonly request: (url: string | URL, options?: RequestOptions) => Effect.Effect<Answer, EgressError>
  }
>()("egress/HttpClient") {
  static make(policy: AddressPolicy, options: CheckedAgentOptions = {}) {
    return Effect.map(
      Effect.acquireRelease(
        Effect.sync(() => makeCheckedAgent(policy, options)),
        (agent) => Effect.promise(() => agent.destroy())
      ),
      (agent) => HttpClient.of({ request: (url, request = {}) => send(agent, url, request) })
    )
  }

  /** With the process's policy (`CD_NETWORK_ALLOW`). */
  static readonly layer = Layer.effect(
    HttpClient,
    Effect.flatMap(addressPolicy, (policy) => HttpClient.make(policy))
  )
}

const parseUrl = (text: string | URL): URL | undefined => {
  const url = URL.parse(String(text))
  return url !== null && (url.protocol === "https:" || url.protocol === "http:") && url.username === "" && url.password === ""
    ? url
    : undefined
}

const send = (agent: Dispatcher, target: string | URL, options: RequestOptions): Effect.Effect<Answer, EgressError> =>
  Effect.suspend(() => {
    const url = parseUrl(target)
    if (url === undefined) return Effect.fail(new EgressError({ reason: "InvalidUrl", message: "not an http(s) URL without credentials" }))
    return Effect.tryPromise({ try: (signal) => exchange(agent, url, options, signal), catch: EgressError.from }).pipe(
      Effect.timeoutOrElse({
        duration: options.timeoutMs ?? 10_000,
        orElse: () => Effect.fail(new EgressError({ reason: "Timeout", message: `no complete answer from ${url.host}` }))
      })
    )
  })

const exchange = async (agent: Dispatcher, url: URL, options: RequestOptions, signal: AbortSignal): Promise<Answer> => {
  const answer = await agent.request({
    origin: url.origin,
    path: `${url.pathname}${url.search}`,
    method: options.method ?? "GET",
    headers: options.headers ?? {},
    body: options.body ?? null,
    signal
  })
  const headers = Object.fromEntries(
    Object.entries(answer.headers).map(([name, value]) => [name.toLowerCase(), Array.isArray(value) ? value.join(", ") : String(value)])
  )
  return { status: answer.statusCode, headers, body: await readBody(answer.body, options) }
}

const readBody = async (body: AsyncIterable<Uint8Array>, options: RequestOptions): Promise<Uint8Array> => {
  const maxBytes = options.maxBytes ?? 1024 * 1024
  const chunks: Array<Uint8Array> = []
  let length = 0
  for await (const chunk of body) {
    length += chunk.length
    chunks.push(chunk)
    if (length <= maxBytes) continue
    if (options.truncate === true) return Buffer.concat(chunks).subarray(0, maxBytes) // leaving the loop destroys the body
    throw new EgressError({ reason: "TooLarge", message: `the answer is longer than ${maxBytes} bytes` })
  }
  return Buffer.concat(chunks)
}
