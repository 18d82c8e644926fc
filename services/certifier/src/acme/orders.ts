/**
 * Orders, authorizations, challenges and certificates (RFC 8555 §7.4–7.6).
 *
 * Owns: the requests, their schemas, and waiting for a status. Leaves to `AcmeAuthority`: which challenge, where its answer is put.
 * Built against: fixed polling. Waits start at 10 ms, double up to 2 s, and are never shorter than the CA's Retry-After.
 */
import { Clock, Effect, Schema } from "effect"
import { AcmeError, type Problem, Refused, readProblem } from "./AcmeError.ts"
import { type AcmeSession, malformed } from "./AcmeSession.ts"
import type { Account } from "./accounts.ts"

const Identifier = Schema.Struct({ type: Schema.String, value: Schema.String })

export const Order = Schema.Struct({
  status: Schema.Literals(["pending", "ready", "processing", "valid", "invalid"]),
  expires: Schema.optionalKey(Schema.String),
  identifiers: Schema.Array(Identifier),
  authorizations: Schema.Array(Schema.String),
  finalize: Schema.String,
  certificate: Schema.optionalKey(Schema.String),
  profile: Schema.optionalKey(Schema.String),
  replaces: Schema.optionalKey(Schema.String),
  error: Schema.optionalKey(Schema.Unknown)
})
export type Order = typeof Order.Type
export type PlacedOrder = Order & { readonly url: string }

export const Challenge = Schema.Struct({
  type: Schema.String,
  url: Schema.String,
  status: Schema.Literals(["pending", "processing", "valid", "invalid"]),
  token: Schema.optionalKey(Schema.String),
  /** `dns-persist-01`: the CA's names in lasting records; as drafts from 02 on spell it, and as those before did. */
  issuerDomainNames: Schema.optionalKey(Schema.Array(Schema.String)),
  "issuer-domain-names": Schema.optionalKey(Schema.Array(Schema.String)),
  validated: Schema.optionalKey(Schema.String),
  error: Schema.optionalKey(Schema.Unknown)
})
export type Challenge = typeof Challenge.Type

export const Authorization = Schema.Struct({
  identifier: Identifier,
  status: Schema.Literals(["pending", "valid", "invalid", "deactivated", "expired", "revoked"]),
  expires: Schema.optionalKey(Schema.String),
  challenges: Schema.Array(Challenge),
  wildcard: Schema.optionalKey(Schema.Boolean)
})
export type Authorization = typeof Authorization.Type

export interface OrderRequest {
  readonly names: ReadonlyArray<string>
  readonly profile?: string
  /** CertID of the certificate this order takes over from (RFC 9773 §5). */
  readonly replaces?: string
}

/** Places an order. Fails with `Refused` (`alreadyReplaced`) when another order has replaced the certificate: then order without. */
export const placeOrder = Effect.fn("acme.placeOrder")(function* (session: AcmeSession, account: Account, request: OrderRequest) {
  const directory = yield* session.directory
  const replaces = directory.renewalInfo === undefined ? undefined : request.replaces
  const payload = {
    identifiers: request.names.map((value) => ({ type: "dns", value })),
    ...(request.profile === undefined ? {} : { profile: request.profile }),
    ...(replaces === undefined ? {} : { replaces })
  }
  const response = yield* session.post("newOrder", directory.newOrder, account, payload)
  if (response.location === undefined) return yield* malformed("newOrder", "answer has no order URL")
  const order = yield* session.decode("newOrder", Order, response.body)
  return { ...order, url: response.location } satisfies PlacedOrder
})

/** The order as it is now; `Gone` when the CA has forgotten it. */
export const readOrder = Effect.fnUntraced(function* (session: AcmeSession, account: Account, url: string) {
  const response = yield* session.post("order", url, account, undefined)
  const order = yield* session.decode("order", Order, response.body)
  return { value: { ...order, url } satisfies PlacedOrder, retryAfterSeconds: response.retryAfterSeconds }
})

export const readAuthorization = Effect.fnUntraced(function* (session: AcmeSession, account: Account, url: string) {
  const response = yield* session.post("authorization", url, account, undefined)
  return { value: yield* session.decode("authorization", Authorization, response.body), retryAfterSeconds: response.retryAfterSeconds }
})

/** Tells the CA that the challenge's answer is in place. */
export const answerChallenge = Effect.fnUntraced(function* (session: AcmeSession, account: Account, challenge: Challenge) {
  const response = yield* session.post("challenge", challenge.url, account, {})
  return response.retryAfterSeconds
})

export const finalizeOrder = Effect.fn("acme.finalizeOrder")(function* (
  session: AcmeSession,
  account: Account,
  order: PlacedOrder,
  csr: Uint8Array
) {
  const response = yield* session.post("finalize", order.finalize, account, { csr: Buffer.from(csr).toString("base64url") })
  const after = yield* session.decode("finalize", Order, response.body)
  return { value: { ...after, url: order.url } satisfies PlacedOrder, retryAfterSeconds: response.retryAfterSeconds }
})

/** The chain, leaf first, PEM. `alternates` are URLs of other chains for the same leaf (RFC 8555 §7.4.2). */
export const downloadChain = Effect.fn("acme.downloadChain")(function* (session: AcmeSession, account: Account, url: string) {
  const response = yield* session.post("certificate", url, account, undefined, "application/pem-certificate-chain")
  const alternates = [...(response.link ?? "").matchAll(/<([^>]+)>\s*;\s*rel="?alternate"?/g)].map((match) => match[1]!)
  return { chain: response.body, alternates }
})

interface Polled<A> {
  readonly value: A
  readonly retryAfterSeconds: number | undefined
}

/** Asks until `settled`, at most `timeoutMillis` long; then fails with `Unavailable`, and the order can be taken up later. */
export const awaitSettled = Effect.fnUntraced(function* <A>(
  operation: string,
  ask: Effect.Effect<Polled<A>, AcmeError>,
  settled: (value: A) => boolean,
  options: { readonly timeoutMillis: number; readonly first?: Polled<A>; readonly firstWaitSeconds?: number | undefined }
) {
  const start = yield* Clock.currentTimeMillis
  let last = options.first
  let wait = 10
  let demanded = options.firstWaitSeconds ?? last?.retryAfterSeconds
  while (last === undefined || !settled(last.value)) {
    const pause = Math.max(wait, (demanded ?? 0) * 1000)
    if ((yield* Clock.currentTimeMillis) + pause - start > options.timeoutMillis) return yield* malformed(operation, "no decision in time")
    yield* Effect.sleep(pause)
    wait = Math.min(wait * 2, 2000)
    last = yield* ask
    demanded = last.retryAfterSeconds
  }
  return last.value
})

/** Why an authorization failed, in the CA's words; the failed challenge tells most. */
export const problemOf = (authorization: Authorization): Problem => {
  const failed = authorization.challenges.find((challenge) => challenge.error !== undefined)
  const fallback = { detail: `authorization for ${authorization.identifier.value} is ${authorization.status}` }
  return readProblem(failed?.error ?? fallback, 403)
}

/** Why we gave up on an authorization, in our words. */
export const problemFor = (authorization: Authorization, detail: string): Problem =>
  readProblem({ type: "urn:ietf:params:acme:error:unsupportedIdentifier", detail, identifier: authorization.identifier }, 403)

/** Why an order is invalid. */
export const orderProblem = (order: Order): Problem => readProblem(order.error ?? { detail: "the order is invalid" }, 403)

/** `challenge`: the answer that the CA looked for. */
export const refusal = (operation: string, problem: Problem, challenge?: string) =>
  new AcmeError({ operation, reason: new Refused(challenge === undefined ? { problem } : { problem, challenge }) })

/** Revokes by the account that ordered (RFC 8555 §7.6); `reason` is RFC 5280's number. Already revoked counts as done. */
export const revokeCertificate = Effect.fn("acme.revoke")(function* (
  session: AcmeSession,
  account: Account,
  der: Uint8Array,
  reason: number
) {
  const { revokeCert } = yield* session.directory
  if (revokeCert === undefined) return yield* malformed("revokeCert", "the CA offers no revocation")
  yield* session
    .post("revokeCert", revokeCert, account, { certificate: Buffer.from(der).toString("base64url"), reason })
    .pipe(
      Effect.catchTag("AcmeError", (error) =>
        error.reason._tag === "Refused" && error.reason.problem.type === "alreadyRevoked" ? Effect.void : Effect.fail(error)
      )
    )
})
