/** The service as a process of its own, killed without warning, and NATS's store deleted: what was promised still comes true. */
import { type ChildProcess, spawn } from "node:child_process"
import { join } from "node:path"
import { Database } from "@connect-domain/database/Database.ts"
import { type HostnameEntry, hostnames } from "@connect-domain/messages/buckets.ts"
import type { ConnectionView } from "@connect-domain/messages/connection.ts"
import { rebuild, updateConnection } from "@connect-domain/messages/lifecycle.ts"
import { Calls } from "@connect-domain/nats/Calls.ts"
import { Kv } from "@connect-domain/nats/Kv.ts"
import { Nats } from "@connect-domain/nats/Nats.ts"
import { assert, layer } from "@effect/vitest"
import { Effect, Schedule } from "effect"
import { create, eventsOf, eventually, reaches, Servers, surroundings } from "./testing/Bench.ts"

/** One lifecycle process, restarted by the test. */
class Process {
  private child: ChildProcess | undefined
  private readonly environment: Readonly<Record<string, string>>
  constructor(environment: Readonly<Record<string, string>>) {
    this.environment = environment
  }
  start(): void {
    const env = { ...process.env, ...this.environment }
    this.child = spawn(process.execPath, [join(import.meta.dirname, "main.ts")], { env, stdio: "inherit" })
  }
  kill(): Promise<void> {
    const child = this.child!
    return new Promise((resolve) => {
      if (child.exitCode !== null || child.signalCode !== null) return resolve()
      child.once("exit", () => resolve())
      child.kill("SIGKILL")
    })
  }
}

const started = Effect.acquireRelease(
  Effect.map(Servers, ({ environment }) => {
    const running = new Process(environment)
    running.start()
    return running
  }),
  (running) => Effect.promise(() => running.kill())
)

/** The service may be restarting: ask until it answers. A create is idempotent by its id. */
const createPatiently = (hostname: string, connection_id: string) =>
  Effect.retry(create(hostname, { connection_id }), {
    while: (error) => error.code === "unavailable",
    schedule: Schedule.spaced("100 millis")
  })

const publishedIds = (of: ConnectionView) =>
  Effect.flatMap(Nats, (nats) =>
    Effect.promise(async () => {
      const info = await nats.request(
        "$JS.API.STREAM.INFO.CD_EVENTS",
        JSON.stringify({ subjects_filter: `cd.events.v1.${of.tenant_id}.${of.id}.>` }),
        { timeoutMillis: 20_000 }
      )
      return info.json<{ state: { subjects?: Record<string, number> } }>().state.subjects ?? {}
    })
  )

layer(surroundings, { excludeTestServices: true })("lifecycle, killed", (it) => {
  it.effect("ends live after kills of two replicas at any moment, with every event once", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { world } = yield* Servers
        const replicas = [yield* started, yield* started]
        const ids = Array.from({ length: 20 }, () => crypto.randomUUID())
        const flow = Effect.forEach(
          ids,
          (id, index) =>
            Effect.gen(function* () {
              const connection = yield* createPatiently(`killed-${index}.example.com`, id)
              yield* Effect.sleep(50 * index)
              world.pointed.add(connection.hostname)
              world.proofs.add(connection.ownership_challenge.value)
              return connection
            }),
          { concurrency: "unbounded" }
        )
        const kills = Effect.repeat(
          Effect.gen(function* () {
            const victim = replicas.reverse()[0]!
            yield* Effect.sleep(600 + 137 * Math.random())
            yield* Effect.promise(() => victim.kill())
            victim.start()
          }),
          { times: 7 }
        )
        const [connections] = yield* Effect.all([flow, kills], { concurrency: 2 })
        for (const { id } of connections) yield* reaches(id, "live")
        for (const connection of connections) {
          assert.deepStrictEqual(yield* eventsOf(connection.id), ["domain.verified", "ssl.issued", "domain.flow.completed"])
          // Committed with the state, published after it.
          yield* eventually(Effect.map(publishedIds(connection), (subjects) => assert.strictEqual(Object.keys(subjects).length, 3)))
          assert.deepStrictEqual(Object.values(yield* publishedIds(connection)), [1, 1, 1])
        }
      })
    )
  )

  it.effect("ends live when it is killed between its commit and the publishing of what follows", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { world, nats } = yield* Servers
        const db = yield* Database
        const running = yield* started
        const connection = yield* createPatiently("unsent.example.com", crypto.randomUUID())
        yield* nats.stop("SIGKILL")
        // The next deadline is committed with a question that can't be sent.
        yield* eventually(
          Effect.gen(function* () {
            const rows = yield* db.query((sql) => sql`select 1 from lifecycle.outbox where subject like ${`%.${connection.id}`}`)
            assert.isNotEmpty(rows)
          })
        )
        yield* Effect.promise(() => running.kill())
        world.pointed.add(connection.hostname)
        world.proofs.add(connection.ownership_challenge.value)
        yield* nats.start
        running.start()
        yield* reaches(connection.id, "live")
      })
    )
  )

  it.effect("restores registry and open work when NATS's store is deleted", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { world, nats } = yield* Servers
        const calls = yield* Calls
        yield* started
        const live = yield* createPatiently("survivor.example.com", crypto.randomUUID())
        world.pointed.add(live.hostname)
        world.proofs.add(live.ownership_challenge.value)
        yield* reaches(live.id, "live")
        const open = yield* createPatiently("open.example.com", crypto.randomUUID())
        yield* reaches(open.id, "pending_ownership")
        const before = world.meta!.epoch

        yield* nats.stop("SIGKILL")
        yield* nats.wipe
        world.served.clear()
        yield* nats.start
        yield* eventually(
          Effect.sync(() => {
            assert.notStrictEqual(world.meta?.epoch, before)
            assert.isTrue(world.meta?.complete)
            assert.strictEqual(world.served.get(live.hostname), `cert-${live.id}`)
          })
        )
        yield* eventually(Effect.map(publishedIds(live), (subjects) => assert.strictEqual(Object.keys(subjects).length, 3)))
        world.pointed.add(open.hostname)
        world.proofs.add(open.ownership_challenge.value)
        yield* reaches(open.id, "live")

        // A key that nobody holds, and an entry that somebody changed.
        const bucket = (yield* Kv).bucket(hostnames)
        const entry = (yield* bucket.get("com.example.survivor"))!.value
        yield* bucket.put("com.example.planted", entry)
        yield* bucket.put("com.example.survivor", { ...entry, origin: "https://evil.example" } as typeof entry)
        const rebuilt = yield* calls.request(rebuild, {})
        assert.isUndefined(yield* bucket.get("com.example.planted"))
        assert.deepStrictEqual({ ...(yield* bucket.get("com.example.survivor"))?.value, version: 0 }, { ...entry, version: 0 })
        assert.notStrictEqual(rebuilt.epoch, before)
        assert.isAtLeast(rebuilt.hostnames, 2)
        yield* eventually(Effect.sync(() => assert.strictEqual(world.meta?.epoch, rebuilt.epoch)))
      })
    )
  )

  it.effect("puts back what NATS acknowledged and lost", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { world, nats } = yield* Servers
        yield* started
        const live = (hostname: string) =>
          Effect.gen(function* () {
            const connection = yield* createPatiently(hostname, crypto.randomUUID())
            world.pointed.add(hostname)
            world.proofs.add(connection.ownership_challenge.value)
            yield* reaches(connection.id, "live")
            return connection
          })
        yield* live("kept.example.com")
        yield* nats.stop("SIGTERM")
        yield* nats.keep
        yield* nats.start
        yield* live("lost.example.com")
        const before = world.meta!.epoch

        yield* nats.stop("SIGKILL")
        yield* nats.restore
        yield* nats.start
        const bucket = (yield* Kv).bucket(hostnames)
        yield* eventually(
          Effect.gen(function* () {
            assert.isDefined(yield* bucket.get("com.example.lost"))
            assert.notStrictEqual(world.meta?.epoch, before)
            assert.isTrue(world.meta?.complete)
          })
        )
      })
    )
  )

  it.effect("says more than anybody has heard when the database went back to a backup", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const calls = yield* Calls
        const db = yield* Database
        const bucket = (yield* Kv).bucket(hostnames)
        const entryOf = Effect.map(bucket.get("com.example.backup"), (found) => {
          assert.isTrue(found !== undefined && "version" in found.value)
          return found!.value as HostnameEntry
        })
        /** As after a restore: what was put since the backup stands in the bucket, with versions that the database does not know. */
        const goBack = db.query(
          (sql) => sql`
            with back as (
              update lifecycle.registry set version = 7, put_version = 7, put_revision = 1, entry = entry || '{"version": 7, "origin": "https://backup.example"}'
              where key = 'com.example.backup'
            ), forgotten as (
              update lifecycle.epoch set epoch = 'of-the-backup', put_revision = 1, complete = true
            ) select setval('lifecycle.versions', 40)`
        )
        const changeOrigin = (connection_id: string, tenant_id: string, origin: string) =>
          calls.request(updateConnection, { tenant_id, connection_id, expected_version: null, origin })
        yield* started
        const { id, tenant_id, ...connection } = yield* createPatiently("backup.example.com", crypto.randomUUID())
        const { world } = yield* Servers
        world.pointed.add("backup.example.com")
        world.proofs.add(connection.ownership_challenge.value)
        yield* reaches(id, "live")
        const first = yield* eventually(entryOf)

        yield* goBack
        yield* calls.request(rebuild, {})
        const second = yield* entryOf
        assert.strictEqual(second.origin, "https://backup.example")
        assert.isAbove(second.version, first.version)

        // Nobody asks for a rebuild: the next change finds a version in the bucket that was never given out.
        yield* goBack
        yield* changeOrigin(id, tenant_id, "https://changed.example")
        yield* eventually(
          Effect.map(entryOf, (third) => {
            assert.strictEqual(third.origin, "https://changed.example")
            assert.isAbove(third.version, second.version)
          })
        )

        // Nothing changes either, and nobody asks: what was put last tells it, the end of a rebuild or an entry.
        for (const origin of [undefined, "https://later.example"]) {
          if (origin !== undefined) {
            yield* changeOrigin(id, tenant_id, origin)
            yield* eventually(Effect.map(entryOf, (entry) => assert.strictEqual(entry.origin, origin)))
          }
          const before = yield* entryOf
          yield* goBack
          yield* eventually(
            Effect.map(entryOf, (entry) => {
              assert.strictEqual(entry.origin, "https://backup.example")
              assert.isAbove(entry.version, before.version)
            })
          )
        }
      })
    )
  )
})
