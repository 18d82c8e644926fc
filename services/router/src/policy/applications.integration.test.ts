/** Applications from a real NATS, as a router's own user, and from the disk. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type ApplicationEntry, applications as bucket } from "@connect-domain/messages/buckets.ts"
import { Kv } from "@connect-domain/nats/Kv.ts"
import { Nats } from "@connect-domain/nats/Nats.ts"
import { provision } from "@connect-domain/nats/provision.ts"
import { createUsers } from "@connect-domain/nats/serverConfiguration.ts"
import { startNats } from "@connect-domain/nats/testing/NatsServer.ts"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Layer, Schedule } from "effect"
import { hostnameEntry } from "../testing/TestEdge.ts"
import { Applications } from "./Applications.ts"
import { ApplicationsFile } from "./ApplicationsFile.ts"
import { followApplications } from "./followApplications.ts"

const entry = (id: string, more: Partial<ApplicationEntry> = {}): ApplicationEntry => ({
  ...{ application_id: id, tenant_id: "tenant-1", origin: `https://${id}.test`, flags: {}, error_page: null },
  ...more
})

const eventually = (check: () => void) =>
  Effect.retry(
    Effect.try({ try: check, catch: (error) => error }),
    Schedule.spaced("20 millis").pipe(Schedule.upTo({ duration: "60 seconds" }))
  )

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "connect-domain-applications-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

describe("applications", () => {
  it.live("follow their bucket, and outlive one that is empty because it is new", () =>
    Effect.gen(function* () {
      const users = createUsers()
      const nats = yield* startNats({ users })
      const seeds = Object.fromEntries(users.map(({ name, seed }) => [`CD_${name.toUpperCase()}_NATS_SEED`, seed]))
      const config = ConfigProvider.layer(ConfigProvider.fromEnvRecord({ ...seeds, NATS_URL: nats.url, CD_LOG_LEVEL: "none" }))
      const asUser = (name: "lifecycle" | "router") =>
        Layer.build(Kv.layer.pipe(Layer.provideMerge(Layer.fresh(Nats.layer(name))), Layer.provide(config)))
      const lifecycle = yield* asUser("lifecycle")
      const router = yield* asUser("router")
      const applications = new Applications()
      yield* Effect.provide(provision, lifecycle).pipe(Effect.provide(config))
      yield* Effect.forkScoped(Effect.provide(followApplications(applications), router))
      const writer = yield* Effect.map(Effect.provide(Kv, lifecycle), (kv) => kv.bucket(bucket))

      yield* writer.put("one", entry("one", { flags: { maintenance: { retry_after: 5 } } }))
      yield* writer.put("two", entry("two"))
      yield* eventually(() => assert.strictEqual(applications.size, 2))
      assert.isTrue(applications.current)
      const hostname = hostnameEntry("a.test", { application_id: "one" })
      assert.deepStrictEqual(applications.policyOf(hostname).maintenance, { retry_after: 5 })
      yield* writer.delete("two")
      yield* eventually(() => assert.strictEqual(applications.size, 1))

      yield* nats.stop()
      yield* nats.wipe
      yield* nats.start
      yield* Effect.provide(provision, lifecycle).pipe(Effect.provide(config))
      yield* writer.put("three", entry("three"))
      yield* eventually(() => assert.strictEqual(applications.size, 2))
      assert.deepStrictEqual(applications.policyOf(hostname).maintenance, { retry_after: 5 })
    })
  )

  it.live("outlive a restart, whatever else lies in the file", () =>
    Effect.gen(function* () {
      const path = yield* folder
      const before = new Applications()
      const file = new ApplicationsFile(path, before)
      assert.strictEqual(file.load(), 0)
      before.put(entry("one", { error_page: "<p>{status}\n{title}" }))
      before.put(entry("two"))
      yield* eventually(() => assert.deepStrictEqual(readdirSync(path), ["applications.jsonl"]))
      before.put(entry("three"))
      before.delete("two")
      yield* Effect.promise(() => file.close())
      assert.isUndefined(file.problem)

      const again = new Applications()
      assert.strictEqual(new ApplicationsFile(path, again).load(), 2)
      assert.deepStrictEqual([...again.entries()], [entry("one", { error_page: "<p>{status}\n{title}" }), entry("three")])

      writeFileSync(join(path, "applications.jsonl"), `${JSON.stringify(entry("one"))}\n{"application_id": 7}\n{"torn`)
      assert.strictEqual(new ApplicationsFile(path, new Applications()).load(), 1)
    })
  )
})
