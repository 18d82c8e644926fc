/** One authorization against a CA that says what the script says. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { AcmeError, NotPlaced, Problem, Refused } from "../acme/AcmeError.ts"
import type { AcmeSession } from "../acme/AcmeSession.ts"
import type { Authorization } from "../acme/orders.ts"
import { ClaimMemory } from "./ChallengeMemory.ts"
import type { Method } from "./methods.ts"
import type { Proof } from "./Proof.ts"
import { prove } from "./prove.ts"

const account = { kid: "https://ca.test/1", key: { thumbprint: "thumb" } } as never
const nothing = Effect.void
const refusal = (detail: string) =>
  new AcmeError({ operation: "challenge", reason: new Refused({ problem: new Problem({ type: "malformed", detail, status: 400 }) }) })

type Step = Partial<Authorization> & { readonly processing?: string; readonly failed?: string; readonly proved?: string }

/** Each reading of the authorization gives the next step, the last one again and again; `onTold` is the CA's answer to a challenge. */
const caOf = (types: ReadonlyArray<Method>, steps: ReadonlyArray<Step>, onTold: Effect.Effect<void, AcmeError> = nothing) => {
  const left = [...steps]
  const told: Array<string> = []
  const view = ({ processing, failed, proved, ...step }: Step) => ({
    ...{ identifier: { type: "dns", value: "a.example" }, status: "pending", ...step },
    challenges: types.map((type) => ({
      ...{ type, url: `https://ca.test/${type}`, token: `token-${type}` },
      status: type === processing ? "processing" : type === failed ? "invalid" : type === proved ? "valid" : "pending",
      ...(type === failed ? { error: { type: "urn:ietf:params:acme:error:unauthorized", detail: "no" } } : {})
    }))
  })
  const answered = (body: unknown) => ({
    status: 200,
    location: undefined,
    link: undefined,
    retryAfterSeconds: undefined,
    body: JSON.stringify(body)
  })
  const session: AcmeSession = {
    directory: Effect.succeed({ newNonce: "", newAccount: "", newOrder: "" }),
    get: () => Effect.die("not asked"),
    decode: (_, schema, body) => Effect.orDie(Schema.decodeUnknownEffect(schema)(JSON.parse(body))),
    post: (operation, url) =>
      Effect.suspend(() => {
        if (operation === "authorization") return Effect.succeed(answered(view(left.length > 1 ? left.shift()! : left[0]!)))
        told.push(url)
        return Effect.as(onTold, answered({}))
      })
  }
  const memory = {
    of: () => Effect.succeed(new ClaimMemory([])),
    worked: () => nothing,
    failed: () => nothing,
    forget: () => nothing,
    offers: () => Effect.undefined,
    learn: () => nothing
  }
  const budgets = {
    takeOrder: () => Effect.undefined,
    countFailure: () => nothing,
    pause: () => nothing,
    paused: Effect.succeed(new Map()),
    forget: nothing
  }
  return {
    told,
    run: (proofs: ReadonlyArray<Proof>) =>
      prove({ directory: "d", session, memory, budgets: budgets as never }, account, proofs, "https://ca.test/authz")
  }
}

const proofOf = (method: Method, answer: Proof["answer"] = () => Effect.succeed({ wasInPlace: Effect.succeed(true) })) => {
  const ended: Array<string | undefined> = []
  return { method, answer, ended: (error: string | undefined) => Effect.sync(() => void ended.push(error)), seen: ended }
}
const cannot = (detail: string) => () => Effect.fail(new AcmeError({ operation: "answer", reason: new NotPlaced({ detail }) }))

describe("one authorization", () => {
  it.live("a proof that can't be put in place gives way to the next, and nothing is asked of the CA for it", () =>
    Effect.gen(function* () {
      const ca = caOf(["dns-01", "http-01"], [{}, { status: "valid" }])
      const [dns, http] = [proofOf("dns-01", cannot("no right")), proofOf("http-01")]
      yield* ca.run([dns, http])
      assert.deepStrictEqual(ca.told, ["https://ca.test/http-01"])
      assert.deepStrictEqual([dns.seen.length, http.seen], [1, [undefined]])
    })
  )

  it.live("when none can be put in place, the first one's reason is told", () =>
    Effect.gen(function* () {
      const ca = caOf(["dns-01", "http-01"], [{}])
      const error = yield* Effect.flip(ca.run([proofOf("dns-01", cannot("first")), proofOf("http-01", cannot("second"))]))
      assert.include(error.message, "first")
      assert.deepStrictEqual(ca.told, [])
    })
  )

  it.live("A1: what a stopped worker has told the CA already is waited for, not told again nor given up", () =>
    Effect.gen(function* () {
      const ca = caOf(
        ["http-01"],
        [{}, { processing: "http-01" }, { processing: "http-01" }, { status: "valid" }],
        refusal("status processing")
      )
      const http = proofOf("http-01")
      const proved = yield* ca.run([http])
      assert.strictEqual(proved?.type, "http-01")
      assert.deepStrictEqual(http.seen, [undefined])
      const deaf = caOf(["http-01"], [{}], refusal("no"))
      assert.include((yield* Effect.flip(deaf.run([proofOf("http-01")]))).message, "no")
    })
  )

  it.live("a challenge that was answered before a restart is gone on with, whatever is preferred now", () =>
    Effect.gen(function* () {
      const ca = caOf(["dns-01", "http-01"], [{ processing: "dns-01" }, { status: "valid" }])
      const http = proofOf("http-01")
      yield* ca.run([http, proofOf("dns-01")])
      assert.deepStrictEqual([ca.told, http.seen], [[], []])
    })
  )

  it.live("A9: a proof that the CA had from before is said to be that: it is found when proofs of its kind must be replaced", () =>
    Effect.gen(function* () {
      const proved = yield* caOf(["dns-01", "http-01"], [{ status: "valid", proved: "http-01" }]).run([proofOf("dns-01")])
      assert.deepInclude(proved, { type: "http-01", before: true })
    })
  )

  it.live("what the CA did not find is remembered with its challenge; an edge that was away is not the name's fault", () =>
    Effect.gen(function* () {
      const steps: ReadonlyArray<Step> = [{}, { status: "invalid", failed: "http-01" }]
      const http = proofOf("http-01")
      const error = yield* Effect.flip(caOf(["http-01"], steps).run([http]))
      assert.deepInclude(error.reason, { _tag: "Refused", challenge: "http-01" })
      assert.deepStrictEqual(http.seen, ["unauthorized: no"])
      const late = proofOf("http-01", () => Effect.succeed({ wasInPlace: Effect.succeed(false) }))
      assert.strictEqual((yield* Effect.flip(caOf(["http-01"], steps).run([late]))).reason._tag, "Unavailable")
      assert.deepStrictEqual(late.seen, [])
    })
  )
})
