/**
 * A CA that speaks ACME: one order from placing to the checked chain.
 *
 * Owns: the order's course, and going on to the next proof when one can't be put in place. Leaves to `acme/`: the protocol; to
 * `challenges/`: which proofs there are and putting them in place; to `Accounts`: who we are. Built against: an order placed twice (it is
 * saved as soon as it exists), a CA that forgot our account (registered anew, once per attempt), and a chain that is not for our names or key.
 */
import type { DatabaseError } from "@connect-domain/database/Database.ts"
import { Clock, Effect, Semaphore } from "effect"
import type { Accounts } from "./Accounts.ts"
import { AcmeError, RateLimited, Unavailable } from "./acme/AcmeError.ts"
import { type AcmeSession, malformed } from "./acme/AcmeSession.ts"
import type { Account } from "./acme/accounts.ts"
import { mismatchOf, readCertificateFacts } from "./acme/certificateFacts.ts"
import * as orders from "./acme/orders.ts"
import { downloadPreferred } from "./acme/preferredChain.ts"
import { readRenewalInfo } from "./acme/renewalInfo.ts"
import { makeKey, makeSigningRequest } from "./acme/signingRequest.ts"
import type { Budgets } from "./Budgets.ts"
import type { CertificateAuthority, IssueRequest, OrderInProgress } from "./CertificateAuthority.ts"
import type { ChallengeMemory } from "./challenges/ChallengeMemory.ts"
import { prove, settleMillis } from "./challenges/prove.ts"

export interface AcmeAuthorityOptions {
  readonly name: string
  readonly directory: string
  readonly session: AcmeSession
  readonly profile: string | undefined
  /** The root's name; see `acme/preferredChain.ts`. */
  readonly preferredChain?: string | undefined
  readonly accounts: {
    readonly at: (directory: string, session: AcmeSession) => Effect.Effect<Account, AcmeError | DatabaseError>
    readonly forget: Accounts["Service"]["forget"]
  }
  readonly budgets: Budgets["Service"]
  readonly memory: ChallengeMemory["Service"]
  /** How many orders are being placed at this CA at a time. */
  readonly newOrders: Semaphore.Semaphore
  /** The CA does not know our account or our certificate: it may have lost its memory. */
  readonly onForgotten: Effect.Effect<void>
}

export const makeAcmeAuthority = (options: AcmeAuthorityOptions): CertificateAuthority => {
  const { session, directory, accounts, onForgotten } = options
  const account = accounts.at(directory, session).pipe(Effect.catchTag("DatabaseError", (error) => Effect.fail(databaseAway(error))))

  const issue: CertificateAuthority["issue"] = (request, placed) =>
    Effect.gen(function* () {
      const who = yield* account
      return yield* issueAs(options, who, request, placed).pipe(
        Effect.catchIf(isAccountUnknown, () =>
          Effect.gen(function* () {
            yield* Effect.logWarning("the CA does not know our account; registering anew", { directory, account: who.kid })
            yield* accounts.forget(directory, who).pipe(Effect.catchTag("DatabaseError", (error) => Effect.fail(databaseAway(error))))
            yield* onForgotten
            yield* placed(null)
            // Neither the old order nor the old certificate means anything to this CA now.
            return yield* issueAs(options, yield* account, { ...request, resume: undefined, replaces: undefined }, placed)
          })
        )
      )
    }).pipe(
      Effect.tapError((error) => (error instanceof AcmeError ? pauseFor(options, error) : Effect.void)),
      Effect.withSpan("certifier.issue", { attributes: { hostname: request.hostname, directory } })
    )

  return {
    name: options.name,
    directory,
    needsProof: true,
    caa: Effect.all([session.directory, account]).pipe(
      Effect.map(([{ meta }, { kid }]) => ({ identities: meta?.caaIdentities ?? [], accountUri: kid, method: "" }))
    ),
    offers: options.memory.offers(directory),
    issue,
    renewalWindow: (certId) =>
      readRenewalInfo(session, certId).pipe(
        Effect.tapError((error) => (error.reason._tag === "Gone" || error.reason._tag === "Refused" ? onForgotten : Effect.void))
      )
  }
}

/** What fails here fails for one name: our edges, or the customer's DNS. */
const notItsFault = new Set(["authorization", "answer"])

/** A limit of the whole account, or a CA that says how long it will be away: nobody orders there until then. */
const pauseFor = Effect.fnUntraced(function* ({ budgets, directory }: AcmeAuthorityOptions, { operation, reason }: AcmeError) {
  const account = reason._tag === "RateLimited" && reason.scope === "account"
  const away = reason._tag === "Unavailable" && reason.retryAfterSeconds !== undefined && !notItsFault.has(operation)
  if (!account && !away) return
  const until = new Date((yield* Clock.currentTimeMillis) + (reason.retryAfterSeconds ?? 600) * 1000)
  yield* Effect.logWarning("the CA takes no orders for now", { directory, until, because: reason.detail })
  yield* Effect.ignore(budgets.pause(directory, until, reason.detail))
})

const databaseAway = (cause: { readonly message: string }) =>
  new AcmeError({ operation: "database", reason: new Unavailable({ detail: cause.message }) })

const isAccountUnknown = (error: unknown): error is AcmeError => error instanceof AcmeError && error.reason._tag === "AccountUnknown"

const refusedAs = (type: string) => (error: AcmeError) => error.reason._tag === "Refused" && error.reason.problem.type === type

const issueAs = Effect.fnUntraced(function* <E, R>(
  options: AcmeAuthorityOptions,
  account: Account,
  request: IssueRequest,
  placed: (order: OrderInProgress | null) => Effect.Effect<void, E, R>
) {
  const { session } = options
  const { order, keyPem } = yield* placeOrResume(options, account, request, placed)
  const proofs = yield* Effect.forEach(order.authorizations, (url) => prove(options, account, request.proofs, url), { concurrency: 8 })
  const done = order.status === "valid" ? order : yield* finalize(session, account, order, request.hostname, keyPem)
  if (done.certificate === undefined) return yield* malformed("order", "a valid order without a certificate")
  const { chain } = yield* downloadPreferred(session, account, done.certificate, options.preferredChain)
  const facts = yield* Effect.try({
    try: () => readCertificateFacts(chain),
    catch: (cause) => malformed("certificate", String(cause))
  })
  const mismatch = mismatchOf(chain, facts, [request.hostname], keyPem)
  if (mismatch !== undefined) return yield* malformed("certificate", mismatch)
  const proof = proofs.find((each) => each !== undefined)
  return {
    chain,
    keyPem,
    facts,
    account: account.kid,
    challenge: proof?.type ?? null,
    validatedAt: proof?.validatedAt ?? null,
    provedBefore: proof?.before ?? true,
    profile: done.profile ?? options.profile ?? null
  }
})

const placeOrResume = Effect.fnUntraced(function* <E, R>(
  options: AcmeAuthorityOptions,
  account: Account,
  request: IssueRequest,
  placed: (order: OrderInProgress | null) => Effect.Effect<void, E, R>
) {
  const { session, profile } = options
  if (request.resume !== undefined) {
    const { url, keyPem } = request.resume
    const found = yield* orders.readOrder(session, account, url).pipe(
      Effect.map(({ value }) => value),
      Effect.catchIf(
        (error) => error.reason._tag === "Gone" || error.reason._tag === "Refused",
        () => Effect.undefined
      )
    )
    if (found !== undefined && found.status !== "invalid") return { order: found, keyPem }
  }
  const names = [request.hostname]
  const place = (order: orders.OrderRequest) => Semaphore.withPermit(options.newOrders, orders.placeOrder(session, account, order))
  const ask = { names, ...(profile === undefined ? {} : { profile }) }
  const fresh = Effect.andThen(takeBudget(options, names), place(ask))
  const order = yield* request.replaces === undefined
    ? fresh
    : place({ ...ask, replaces: request.replaces }).pipe(
        // Replaced already, or by an account that we had before: the certificate is needed all the same (RFC 9773 §5).
        Effect.catchIf(
          (error) => error.reason._tag === "Refused" && !refusedAs("rejectedIdentifier")(error),
          () => fresh
        ),
        // No budget for it: what the CA said still holds.
        Effect.catchIf(chokesOnIt(request.failures), (error) => Effect.catchIf(fresh, isOverBudget, () => Effect.fail(error)))
      )
  const keyPem = yield* makeKey
  yield* placed({ url: order.url, keyPem })
  return { order, keyPem }
})

/**
 * A CA that answers every order which names this certificate with an internal error (Pebble 2.10 does for one in 256) would never renew it.
 * A CA that is broken altogether answers the same, and an order without the name counts against its limits: so one attempt in six, from
 * the third on, leaves the name out.
 */
const chokesOnIt =
  (failures: number) =>
  ({ reason }: AcmeError): boolean =>
    reason._tag === "Unavailable" && reason.status === 500 && failures % 6 === 2

const isOverBudget = ({ operation, reason }: AcmeError): boolean => operation === "budget" && reason._tag === "RateLimited"

/** A renewal that names what it replaces needs none of this: it is exempt (RFC 9773 §5). */
const takeBudget = Effect.fnUntraced(function* ({ budgets, directory }: AcmeAuthorityOptions, names: ReadonlyArray<string>) {
  const refusal = yield* budgets.takeOrder(directory, names).pipe(Effect.mapError((error) => databaseAway(error)))
  if (refusal === undefined) return
  const { limit, per, until } = refusal
  const retryAfterSeconds = Math.max(1, (until.getTime() - (yield* Clock.currentTimeMillis)) / 1000)
  const detail = `the limit ${limit} is used up until ${until.toISOString()}`
  return yield* new AcmeError({
    operation: "budget",
    reason: new RateLimited({ detail, retryAfterSeconds, scope: per === "account" ? "account" : "name" })
  })
})

const finalize = Effect.fnUntraced(function* (
  session: AcmeSession,
  account: Account,
  order: orders.PlacedOrder,
  hostname: string,
  keyPem: string
) {
  const csr = yield* makeSigningRequest([hostname], keyPem)
  const ask = orders.readOrder(session, account, order.url)
  const timeoutMillis = settleMillis
  const sent = orders.finalizeOrder(session, account, order, csr)
  const first = yield* sent.pipe(
    // Valid authorizations, but the CA has not noticed yet; or a restart after finalize.
    Effect.catchIf(refusedAs("orderNotReady"), () =>
      Effect.flatMap(
        orders.awaitSettled("order", ask, (each) => each.status !== "pending", { timeoutMillis }),
        (value) => (value.status === "ready" ? sent : Effect.succeed({ value, retryAfterSeconds: undefined }))
      )
    )
  )
  const done = yield* orders.awaitSettled("order", ask, (each) => each.status === "valid" || each.status === "invalid", {
    timeoutMillis,
    first
  })
  if (done.status === "invalid") return yield* orders.refusal("order", orders.orderProblem(done))
  return done
})
