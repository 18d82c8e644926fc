/** The whole connector behind a real NATS: writes through a sealed credential, and who must act when one can't be. */
import { applyChange } from "@connect-domain/messages/connector.ts"
import type { SealedCredential } from "@connect-domain/messages/record.ts"
import { Work } from "@connect-domain/nats/Work.ts"
import { assert, layer } from "@effect/vitest"
import { Effect, Queue } from "effect"
import { cname, contents, newZone, sealed, set, World, world } from "./World.ts"

layer(world, { excludeTestServices: true })("writes", (it) => {
  it.effect("challenge, records and cleanup are written through the credential whose account holds the zone", () =>
    Effect.gen(function* () {
      const { store, api, answers } = yield* World
      const work = yield* Work
      newZone(store, "auto.test", set("www.auto.test", "A", "192.0.2.1"), set("auto.test", "MX", "10 mx.test."))
      const name = "_customdomain-challenge.www.auto.test"
      const challenge = [{ host: name, type: "TXT" as const, value: "cd-verify-a", ttl: 60 }]
      const order = {
        connection_id: "c2",
        hostname: "www.auto.test",
        credentials: [sealed({ url: api, api_key: "wrong" }), sealed({ url: api, api_key: "key" })],
        replace: true
      }
      const say = (
        version: number,
        purpose: "challenge" | "records" | "cleanup",
        records: ReadonlyArray<{ host: string; type: "TXT" | "CNAME"; value: string; ttl: number }>
      ) => Effect.andThen(work.send(applyChange, { ...order, version, purpose, records }, { id: `apply-${version}` }), Queue.take(answers))
      assert.deepStrictEqual((yield* say(1, "challenge", challenge)).payload, {
        connection_id: "c2",
        version: 1,
        purpose: "challenge",
        provider: "powerdns",
        failure: null
      })
      assert.deepStrictEqual(contents(store, "auto.test", name, "TXT"), ['"cd-verify-a"'])
      assert.deepInclude((yield* say(2, "records", [cname("www.auto.test")])).payload, { version: 2, failure: null })
      assert.deepStrictEqual(
        [contents(store, "auto.test", "www.auto.test", "A"), contents(store, "auto.test", "www.auto.test", "CNAME")],
        [[], ["edge.connect.test."]]
      )
      assert.deepInclude((yield* say(3, "cleanup", challenge)).payload, { version: 3, failure: null })
      assert.deepStrictEqual(contents(store, "auto.test", name, "TXT"), [])
      assert.deepStrictEqual(contents(store, "auto.test", "auto.test", "MX"), ["10 mx.test."])
    })
  )

  it.effect("what is merely useful is written where nothing stands in its way, and stops nothing", () =>
    Effect.gen(function* () {
      const { store, api, answers } = yield* World
      const work = yield* Work
      const taken = "_acme-challenge.taken.useful.test"
      newZone(store, "useful.test", set(taken, "CNAME", "somebody.elses.test."))
      const useful = (hostname: string) => [
        { host: `_acme-challenge.${hostname}`, type: "CNAME" as const, value: "label.acme.connect.test", ttl: 300, required: false },
        { host: `_validation-persist.${hostname}`, type: "TXT" as const, value: "ca.test; accounturi=x", ttl: 300, required: false },
        { host: "_acme-challenge.outside.test", type: "CNAME" as const, value: "label.acme.connect.test", ttl: 300, required: false }
      ]
      const apply = (hostname: string) => {
        const order = { connection_id: "c9", version: 1, purpose: "records" as const, hostname, replace: true }
        const records = [cname(hostname), ...useful(hostname)]
        return Effect.andThen(
          work.send(applyChange, { ...order, records, credentials: [sealed({ url: api, api_key: "key" })] }, { id: `useful-${hostname}` }),
          Queue.take(answers)
        )
      }
      for (const hostname of ["free.useful.test", "taken.useful.test"]) {
        assert.deepInclude((yield* apply(hostname)).payload, { failure: null })
        assert.deepStrictEqual(contents(store, "useful.test", hostname, "CNAME"), ["edge.connect.test."])
        assert.deepStrictEqual(contents(store, "useful.test", `_validation-persist.${hostname}`, "TXT"), ['"ca.test; accounturi=x"'])
      }
      assert.deepStrictEqual(contents(store, "useful.test", "_acme-challenge.free.useful.test", "CNAME"), ["label.acme.connect.test."])
      assert.deepStrictEqual(contents(store, "useful.test", taken, "CNAME"), ["somebody.elses.test."])
    })
  )

  it.effect("a write that can't be says who must act", () =>
    Effect.gen(function* () {
      const { store, api, answers } = yield* World
      const work = yield* Work
      newZone(store, "stuck.test", set("www.stuck.test", "TXT", '"somebody\'s proof"'))
      const apply = (id: string, hostname: string, credentials: ReadonlyArray<SealedCredential>) =>
        Effect.map(
          Effect.andThen(
            work.send(
              applyChange,
              { connection_id: "c3", version: 1, purpose: "records", hostname, records: [cname(hostname)], credentials, replace: true },
              { id }
            ),
            Queue.take(answers)
          ),
          ({ payload }) => payload.failure as { readonly code: string; readonly message: string }
        )
      const good = sealed({ url: api, api_key: "key" })
      assert.strictEqual((yield* apply("s1", "www.stuck.test", [good])).code, "conflict")
      assert.strictEqual((yield* apply("s2", "www.nowhere.test", [good])).code, "zone_not_found")
      assert.strictEqual((yield* apply("s3", "www.stuck.test", [sealed({ url: api, api_key: "wrong" })])).code, "access_denied")
      assert.strictEqual((yield* apply("s4", "www.stuck.test", [{ ...good, tenant_id: "another" }])).code, "access_denied")
      assert.strictEqual((yield* apply("s5", "www.stuck.test", [sealed("x", "unheard")])).code, "unsupported")
      assert.strictEqual((yield* apply("s6", "www.stuck.test", [])).code, "unsupported")
      assert.strictEqual(
        (yield* apply("s7", "www.stuck.test", [sealed({ url: "http://127.0.0.1:1", api_key: "key" })])).code,
        "unavailable"
      )
    })
  )
})
