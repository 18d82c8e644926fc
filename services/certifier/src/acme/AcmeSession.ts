/**
 * A conversation with one CA: its directory, its nonces, signed requests and typed failures (RFC 8555 §6–7.1).
 *
 * Owns: the directory's cache, the nonce pool, the badNonce retry, reading Retry-After. Leaves to `accounts.ts`, `orders.ts` and
 * `renewalInfo.ts`: which requests. Safe to use by any number of fibers at once.
 * Built against: CAs that refuse good nonces now and then (Pebble does so on purpose), and answers that are not ACME.
 */
import { Clock, Effect, Schema } from "effect"
import { AcmeError, type AcmeReason, readProblem, reasonOf, Unavailable } from "./AcmeError.ts"
import { type Signer, signJws } from "./jws.ts"
import { NoncePool } from "./NoncePool.ts"
import { readRetryAfter } from "./retryAfter.ts"
import type { Transport, TransportRequest, TransportResponse } from "./Transport.ts"

export const Directory = Schema.Struct({
  newNonce: Schema.String,
  newAccount: Schema.String,
  newOrder: Schema.String,
  revokeCert: Schema.optionalKey(Schema.String),
  keyChange: Schema.optionalKey(Schema.String),
  /** RFC 9773: present when the CA tells when to renew. */
  renewalInfo: Schema.optionalKey(Schema.String),
  meta: Schema.optionalKey(
    Schema.Struct({
      externalAccountRequired: Schema.optionalKey(Schema.Boolean),
      caaIdentities: Schema.optionalKey(Schema.Array(Schema.String)),
      /** Lasting DNS records name a hash of our account under this prefix (draft-ietf-acme-dns-persist-02 §4.1). */
      accountHashPrefix: Schema.optionalKey(Schema.String),
      profiles: Schema.optionalKey(Schema.Record(Schema.String, Schema.String))
    })
  )
})
export type Directory = typeof Directory.Type

/** An answer below 400. */
export interface AcmeResponse {
  readonly status: number
  readonly location: string | undefined
  readonly link: string | undefined
  readonly retryAfterSeconds: number | undefined
  readonly body: string
}

export interface AcmeSession {
  /** The directory, at most an hour old. */
  readonly directory: Effect.Effect<Directory, AcmeError>
  /** A signed POST; `payload` undefined is POST-as-GET. Refused nonces are retried here, nothing else is. */
  readonly post: (
    operation: string,
    url: string,
    signer: Signer,
    payload: unknown,
    accept?: string
  ) => Effect.Effect<AcmeResponse, AcmeError>
  /** A plain GET (directory, renewal info). */
  readonly get: (operation: string, url: string) => Effect.Effect<AcmeResponse, AcmeError>
  readonly decode: <S extends Schema.Top>(
    operation: string,
    schema: S,
    body: string
  ) => Effect.Effect<S["Type"], AcmeError, S["DecodingServices"]>
}

const userAgent = "connect-domain-certifier/0.1 (RFC 8555; RFC 9773)"
const directoryMaxAgeMillis = 3_600_000
/** At 90 % refusals (a hostile test CA) a request still fails only once in 37,000; a CA that really refuses costs one burst. */
const nonceAttempts = 100

const fail = (operation: string, reason: AcmeReason) => Effect.fail(new AcmeError({ operation, reason }))

const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** `Unavailable` as an `AcmeError`: for answers that are not what the protocol promises. */
export const malformed = (operation: string, detail: string) => new AcmeError({ operation, reason: new Unavailable({ detail }) })

export const makeAcmeSession = (directoryUrl: string, transport: Transport): AcmeSession => {
  const nonces = new NoncePool()
  let cached: { readonly value: Directory; readonly at: number } | undefined

  const send = Effect.fnUntraced(function* (request: TransportRequest) {
    const response = yield* transport({ ...request, headers: { "user-agent": userAgent, ...request.headers } })
    nonces.put(response.headers["replay-nonce"], yield* Clock.currentTimeMillis)
    return response
  })

  const accept = Effect.fnUntraced(function* (operation: string, response: TransportResponse) {
    const retryAfterSeconds = readRetryAfter(response.headers["retry-after"], yield* Clock.currentTimeMillis)
    if (response.status >= 400) {
      const problem = readProblem(parseJson(response.body), response.status)
      return yield* fail(operation, reasonOf(problem, response.status, retryAfterSeconds))
    }
    if (response.status >= 300) return yield* malformed(operation, `unexpected redirect (HTTP ${response.status})`)
    const { location, link } = response.headers
    return { status: response.status, location, link, retryAfterSeconds, body: response.body } satisfies AcmeResponse
  })

  const decode: AcmeSession["decode"] = (operation, schema, body) =>
    Schema.decodeUnknownEffect(schema)(parseJson(body)).pipe(
      Effect.mapError((error) => malformed(operation, `answer is not as RFC 8555 says: ${error.message.slice(0, 300)}`))
    )

  const get: AcmeSession["get"] = Effect.fnUntraced(function* (operation, url) {
    return yield* accept(operation, yield* send({ method: "GET", url, headers: {} }))
  })

  const directory: AcmeSession["directory"] = Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    if (cached && now - cached.at < directoryMaxAgeMillis) return cached.value
    const response = yield* get("directory", directoryUrl)
    const value = yield* decode("directory", Directory, response.body)
    cached = { value, at: now }
    return value
  })

  const nonce = Effect.gen(function* () {
    const spare = nonces.take(yield* Clock.currentTimeMillis)
    if (spare !== undefined) return spare
    const { newNonce } = yield* directory
    // Straight to the transport: this nonce is for our caller, not for the pool.
    const response = yield* transport({ method: "HEAD", url: newNonce, headers: { "user-agent": userAgent } })
    const fresh = response.headers["replay-nonce"]
    if (fresh === undefined) return yield* malformed("newNonce", `HTTP ${response.status} without a nonce`)
    return fresh
  })

  const refusedNonce = (response: TransportResponse) =>
    response.status >= 400 && readProblem(parseJson(response.body), response.status).type === "badNonce"

  const refusedSignature = (response: TransportResponse) =>
    response.status >= 400 &&
    response.status < 500 &&
    ["malformed", "unauthorized"].includes(readProblem(parseJson(response.body), response.status).type)

  const post: AcmeSession["post"] = Effect.fnUntraced(function* (operation, url, signer, payload, acceptType) {
    let reread = false
    for (let attempt = 1; ; attempt++) {
      const body = JSON.stringify(signJws(signer, url, payload, yield* nonce))
      const headers = { "content-type": "application/jose+json", ...(acceptType === undefined ? {} : { accept: acceptType }) }
      const response = yield* send({ method: "POST", url, headers, body })
      // Another process changed the account's key: what was signed with the old one is signed again, once.
      if (!reread && signer.reread !== undefined && refusedSignature(response)) {
        reread = true
        if (yield* signer.reread) continue
      }
      if (attempt >= nonceAttempts || !refusedNonce(response)) return yield* accept(operation, response)
      // The refusal brought a fresh nonce (RFC 8555 §6.5). After a few, the CA may be several servers out of step: slow down.
      if (attempt > 10) yield* Effect.sleep("20 millis")
    }
  })

  return { directory, post, get, decode }
}
