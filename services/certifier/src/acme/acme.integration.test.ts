/** The client against a real Pebble that refuses 30 % of good nonces. */
import { X509Certificate } from "node:crypto"
import { readFileSync } from "node:fs"
import { makeAddressPolicy, parseNetwork } from "@connect-domain/egress/AddressPolicy.ts"
import { HttpClient } from "@connect-domain/egress/HttpClient.ts"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Pebble } from "../../test/Pebble.ts"
import { Responder } from "../../test/Responder.ts"
import { type AcmeSession, makeAcmeSession } from "./AcmeSession.ts"
import { type Account, changeAccountKey, registerAccount } from "./accounts.ts"
import { mismatchOf, readCertificateFacts, splitChain } from "./certificateFacts.ts"
import { egressTransport } from "./egressTransport.ts"
import { generateKeyPem, keyAuthorization, readAccountKey } from "./jws.ts"
import * as orders from "./orders.ts"
import { readRenewalInfo } from "./renewalInfo.ts"
import { makeKey, makeSigningRequest } from "./signingRequest.ts"

let pebble: Pebble
let responder: Responder
const loopback = makeAddressPolicy([parseNetwork("127.0.0.0/8")!, parseNetwork("::1/128")!])
const sessionOf = (ca: Pebble) =>
  Effect.map(HttpClient.make(loopback, { ca: readFileSync(ca.caFile, "utf8") }), (client) =>
    makeAcmeSession(ca.directory, egressTransport(client))
  )

beforeAll(async () => {
  pebble = await Pebble.start({ nonceReject: 30, blocked: ["blocked.test"] })
  responder = await Responder.start(pebble.httpPort)
})
afterAll(async () => {
  await responder.stop()
  await pebble.stop()
})

const register = (session: AcmeSession) =>
  Effect.suspend(() => registerAccount(session, readAccountKey(generateKeyPem()), { contacts: ["ops@example.com"] }))

const issue = Effect.fnUntraced(function* (session: AcmeSession, account: Account, request: orders.OrderRequest) {
  const placed = yield* orders.placeOrder(session, account, request)
  for (const url of placed.authorizations) {
    const { value } = yield* orders.readAuthorization(session, account, url)
    // Taken over from an order before (see `Pebble`): nothing is left to answer.
    if (value.status === "valid") continue
    const challenge = value.challenges.find((each) => each.type === "http-01")!
    responder.answers.set(challenge.token!, keyAuthorization(challenge.token!, account.key))
    yield* orders.answerChallenge(session, account, challenge)
    const settled = yield* orders.awaitSettled(
      "authorization",
      orders.readAuthorization(session, account, url),
      (authorization) => authorization.status !== "pending",
      { timeoutMillis: 20_000 }
    )
    if (settled.status !== "valid") return yield* orders.refusal("authorization", orders.problemOf(settled))
  }
  const keyPem = yield* makeKey
  const csr = yield* makeSigningRequest(request.names, keyPem)
  const first = yield* orders.finalizeOrder(session, account, placed, csr)
  const done = yield* orders.awaitSettled(
    "order",
    orders.readOrder(session, account, placed.url),
    (order) => order.status === "valid" || order.status === "invalid",
    { timeoutMillis: 20_000, first }
  )
  const { chain } = yield* orders.downloadChain(session, account, done.certificate!)
  return { chain, keyPem, url: placed.url }
})

describe("a hostile Pebble", () => {
  it.live("issues, names the certificate by ARI, replaces it once, revokes it", () =>
    Effect.gen(function* () {
      const session = yield* sessionOf(pebble)
      const account = yield* register(session)
      const { chain, keyPem } = yield* issue(session, account, { names: ["shop.example.com", "www.shop.example.com"] }).pipe(
        Effect.repeat({ until: (issued) => Pebble.finds(readCertificateFacts(issued.chain).serial) })
      )
      const facts = readCertificateFacts(chain)
      assert.isUndefined(mismatchOf(chain, facts, ["shop.example.com", "www.shop.example.com"], keyPem))
      assert.isDefined(mismatchOf(chain, facts, ["other.example.com"], keyPem))
      assert.isDefined(mismatchOf(chain, facts, [], generateKeyPem()))
      const root = new X509Certificate(yield* Effect.promise(() => pebble.root()))
      assert.isTrue(new X509Certificate(splitChain(chain).at(-1)!).verify(root.publicKey))

      const window = yield* readRenewalInfo(session, facts.certId!)
      assert.isAbove(window!.start.getTime(), Date.now())
      assert.isAbove(window!.retryAfterSeconds!, 0)

      yield* issue(session, account, { names: facts.names, replaces: facts.certId! })
      const again = yield* Effect.flip(orders.placeOrder(session, account, { names: facts.names, replaces: facts.certId! }))
      assert.strictEqual(again.reason._tag === "Refused" && again.reason.problem.type, "alreadyReplaced")

      const der = new X509Certificate(chain).raw
      yield* orders.revokeCertificate(session, account, der, 4)
      yield* orders.revokeCertificate(session, account, der, 4)
      const after = yield* readRenewalInfo(session, facts.certId!)
      assert.isBelow(after!.end.getTime(), Date.now())
    })
  )

  it.live("says what the CA says when the answer is not there, or the name is refused", () =>
    Effect.gen(function* () {
      const session = yield* sessionOf(pebble)
      const account = yield* register(session)
      const placed = yield* orders.placeOrder(session, account, { names: ["nobody.example.com"] })
      const { value } = yield* orders.readAuthorization(session, account, placed.authorizations[0]!)
      const challenge = value.challenges.find((each) => each.type === "http-01")!
      yield* orders.answerChallenge(session, account, challenge)
      const ask = orders.readAuthorization(session, account, placed.authorizations[0]!)
      const settled = yield* orders.awaitSettled("authorization", ask, (each) => each.status !== "pending", { timeoutMillis: 20_000 })
      assert.strictEqual(settled.status, "invalid")
      assert.include(["unauthorized", "incorrectResponse"], orders.problemOf(settled).type)
      const refused = yield* Effect.flip(orders.placeOrder(session, account, { names: ["a.blocked.test"] }))
      assert.strictEqual(refused.reason._tag === "Refused" && refused.reason.problem.type, "rejectedIdentifier")
    })
  )

  it.live("rolls the account key over without losing an order", () =>
    Effect.gen(function* () {
      const session = yield* sessionOf(pebble)
      const account = yield* register(session)
      const placed = yield* orders.placeOrder(session, account, { names: ["rolled.example.com"] })
      const next = yield* changeAccountKey(session, account, readAccountKey(generateKeyPem()))
      assert.strictEqual((yield* orders.readOrder(session, next, placed.url)).value.status, "pending")
      const old = yield* Effect.flip(orders.readOrder(session, account, placed.url))
      assert.notStrictEqual(old.reason._tag, "Unavailable")
    })
  )

  it.live("issues 40 at concurrency 8 with few requests for nonces", () =>
    Effect.gen(function* () {
      const session = yield* sessionOf(pebble)
      const account = yield* register(session)
      const before = pebble.logged("HEAD /nonce-plz")
      const names = Array.from({ length: 40 }, (_, i) => `n${i}.example.net`)
      const start = Date.now()
      const issued = yield* Effect.forEach(names, (name) => issue(session, account, { names: [name] }), { concurrency: 8 })
      yield* Effect.log(`${(issued.length / ((Date.now() - start) / 1000)).toFixed(1)} certificates/s`)
      assert.strictEqual(new Set(issued.map((each) => readCertificateFacts(each.chain).serial)).size, 40)
      assert.isBelow(pebble.logged("HEAD /nonce-plz") - before, 40)
    })
  )
})

describe("a Pebble that wants an external account, and forgets", () => {
  it.live("binds, and reports an unknown account after a restart", () =>
    Effect.gen(function* () {
      const hmacKey = Buffer.alloc(32, 7).toString("base64url")
      const strict = yield* Effect.acquireRelease(
        Effect.promise(() => Pebble.start({ externalAccounts: { "kid-1": hmacKey } })),
        (ca) => Effect.promise(() => ca.stop())
      )
      const session = yield* sessionOf(strict)
      assert.isTrue((yield* session.directory).meta?.externalAccountRequired)
      const key = readAccountKey(generateKeyPem())
      const refused = yield* Effect.flip(registerAccount(session, key, { contacts: [] }))
      assert.strictEqual(refused.reason._tag === "Refused" && refused.reason.problem.type, "externalAccountRequired")
      const account = yield* registerAccount(session, key, { contacts: [], externalAccount: { kid: "kid-1", hmacKey } })
      const same = yield* registerAccount(session, key, { contacts: [], externalAccount: { kid: "kid-1", hmacKey } })
      assert.strictEqual(same.kid, account.kid)
      yield* Effect.promise(() => strict.stopCa())
      const down = yield* Effect.flip(orders.placeOrder(session, account, { names: ["a.example.com"] }))
      assert.strictEqual(down.reason._tag, "Unavailable")
      yield* Effect.promise(() => strict.startCa())
      const forgotten = yield* Effect.flip(orders.placeOrder(session, account, { names: ["a.example.com"] }))
      assert.strictEqual(forgotten.reason._tag, "AccountUnknown")
    })
  )
})
