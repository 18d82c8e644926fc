/** The lives of connections on real servers: to live by both ways, races, drift, an edge or a database that is away. */
import { Database } from "@connect-domain/database/Database.ts"
import { applicationChanged, applyRecords, archiveConnection, checkRecords, updateConnection } from "@connect-domain/messages/lifecycle.ts"
import { Calls } from "@connect-domain/nats/Calls.ts"
import { Work } from "@connect-domain/nats/Work.ts"
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { create, eventsOf, eventually, everything, otherTenant, reaches, Servers, tenant, verify } from "./testing/Bench.ts"

const point = (hostname: string) => Effect.map(Servers, ({ world }) => void world.pointed.add(hostname))
const prove = (value: string) => Effect.map(Servers, ({ world }) => void world.proofs.add(value))
const sealed = { credential_id: "k", tenant_id: tenant, provider: "memory", sealed: "x" }

layer(everything, { excludeTestServices: true })("lifecycle", (it) => {
  it.effect("walks a manual connection to live without anybody calling", () =>
    Effect.gen(function* () {
      const { world } = yield* Servers
      const connection = yield* create("manual.example.com")
      assert.strictEqual(connection.state, "pending_ownership")
      assert.strictEqual(connection.ownership_challenge.name, "_customdomain-challenge.manual.example.com")
      assert.deepStrictEqual(connection.desired_records, [
        { host: "manual.example.com", type: "CNAME", value: "edge.example.net", ttl: 300 }
      ])
      yield* point(connection.hostname)
      yield* prove(connection.ownership_challenge.value)
      yield* reaches(connection.id, "live")
      yield* eventually(
        Effect.flatMap(eventsOf(connection.id), (events) =>
          Effect.sync(() => assert.deepStrictEqual(events, ["domain.verified", "ssl.issued", "domain.flow.completed"]))
        )
      )
      assert.strictEqual(world.served.get("manual.example.com"), `cert-${connection.id}`)
      assert.strictEqual(world.orders.get(connection.id), 1)
    })
  )

  it.effect("walks an automatic connection to live with no step by the customer, and cleans up", () =>
    Effect.gen(function* () {
      const { world } = yield* Servers
      const connection = yield* create("automatic.example.com", { credentials: [sealed] })
      assert.strictEqual(connection.state, "verifying")
      assert.strictEqual(connection.setup_type, "automatic")
      yield* reaches(connection.id, "live")
      const written = () => world.writes.filter(({ hostname }) => hostname === connection.hostname).map(({ purpose }) => purpose)
      yield* eventually(Effect.sync(() => assert.deepStrictEqual(written(), ["challenge", "records", "cleanup"])))
      yield* eventually(
        Effect.flatMap(eventsOf(connection.id), (events) =>
          Effect.sync(() => assert.deepStrictEqual(events, ["domain.verified", "domain.added", "ssl.issued", "domain.flow.completed"]))
        )
      )
    })
  )

  it.effect("answers verify and records:check at once, with what was seen", () =>
    Effect.gen(function* () {
      const { world } = yield* Servers
      const calls = yield* Calls
      const connection = yield* create("looks.example.com")
      const missing = yield* Effect.flip(verify(connection))
      assert.strictEqual(missing.code, "ownership_not_found")
      assert.strictEqual((missing.details as { look: { verdict: string } }).look.verdict, "mismatch")
      world.unreachable = true
      assert.strictEqual((yield* Effect.flip(verify(connection))).code, "unavailable")
      world.unreachable = false
      const one = { tenant_id: tenant, connection_id: connection.id }
      const checked = yield* calls.request(checkRecords, one)
      assert.strictEqual(checked.look.verdict, "mismatch")
      assert.strictEqual(checked.connection.observed_records[0]?.propagated, false)
      assert.strictEqual((yield* Effect.flip(calls.request(applyRecords, one))).code, "ownership_not_found")
      yield* prove(connection.ownership_challenge.value)
      assert.strictEqual((yield* verify(connection)).state, "propagating")
      assert.strictEqual((yield* Effect.flip(calls.request(applyRecords, one))).code, "no_credential")
      yield* point(connection.hostname)
      assert.strictEqual((yield* calls.request(checkRecords, one)).look.verdict, "match")
      yield* reaches(connection.id, "live")
      const foreign = yield* Effect.flip(calls.request(checkRecords, { ...one, tenant_id: otherTenant }))
      assert.strictEqual(foreign.code, "not_found")
    })
  )

  it.effect("lets one of two tenants win under 200 parallel verifies", () =>
    Effect.gen(function* () {
      const { world } = yield* Servers
      const rivals = [yield* create("race.example.com"), yield* create("race.example.com", { tenant_id: otherTenant })]
      for (const rival of rivals) world.proofs.add(rival.ownership_challenge.value)
      const answers = yield* Effect.forEach(
        Array.from({ length: 200 }, (_, index) => rivals[index % 2]!),
        (rival) => Effect.map(Effect.result(verify(rival)), (result) => [rival.id, result._tag === "Success" ? 200 : result.failure.code]),
        { concurrency: "unbounded" }
      )
      const byRival = rivals.map(({ id }) => new Set(answers.filter(([of]) => of === id).map(([, answer]) => answer)))
      const won = byRival.findIndex((all) => all.has(200))
      assert.deepStrictEqual(byRival[won], new Set([200]))
      assert.deepStrictEqual(byRival[1 - won], new Set(["HostnameConflict"]))
      assert.strictEqual((yield* Effect.flip(create("race.example.com"))).code, "HostnameConflict")
      assert.strictEqual((yield* reaches(rivals[1 - won]!.id, "pending_ownership")).error_code, "HostnameConflict")
      // The loser wins when the winner leaves: his own proof still stands.
      const calls = yield* Calls
      yield* calls.request(archiveConnection, { tenant_id: rivals[won]!.tenant_id, connection_id: rivals[won]!.id })
      assert.strictEqual((yield* verify(rivals[1 - won]!)).state, "propagating")
    })
  )

  it.effect("creates the same id once", () =>
    Effect.gen(function* () {
      const first = yield* create("once.example.com")
      const [again, other] = yield* Effect.all(
        [create("once.example.com", { connection_id: first.id }), create("once.example.com", { connection_id: first.id })],
        { concurrency: 2 }
      )
      assert.deepStrictEqual([again.ownership_challenge, other.id], [first.ownership_challenge, first.id])
    })
  )

  it.effect("tells the edges of an update, and of an archive within a second", () =>
    Effect.gen(function* () {
      const { world } = yield* Servers
      const calls = yield* Calls
      const connection = yield* create("leaving.example.com")
      yield* point(connection.hostname)
      yield* prove(connection.ownership_challenge.value)
      const { version } = yield* reaches(connection.id, "live")
      const one = { tenant_id: tenant, connection_id: connection.id }
      const stale = yield* Effect.flip(
        calls.request(updateConnection, { ...one, expected_version: version - 1, origin: "https://x.example" })
      )
      assert.strictEqual(stale.code, "precondition_failed")
      const updated = yield* calls.request(updateConnection, { ...one, expected_version: version, origin: "https://x.example" })
      assert.strictEqual(updated.connection.origin, "https://x.example")
      const archived = yield* calls.request(archiveConnection, one)
      assert.strictEqual(archived.connection.state, "archived")
      yield* eventually(Effect.sync(() => assert.isFalse(world.served.has(connection.hostname))))
      yield* eventually(Effect.sync(() => assert.include(world.released, connection.id)))
      assert.strictEqual((yield* calls.request(archiveConnection, one)).connection.state, "archived")
      assert.strictEqual((yield* create("leaving.example.com", { tenant_id: otherTenant })).state, "pending_ownership")
    })
  )

  it.effect("waits for an edge, and goes live as soon as one is connected", () =>
    Effect.gen(function* () {
      const { world } = yield* Servers
      world.edgeConnected = false
      yield* Effect.sleep("3200 millis")
      const connection = yield* create("edgeless.example.com")
      yield* point(connection.hostname)
      yield* prove(connection.ownership_challenge.value)
      yield* reaches(connection.id, "issuing_cert")
      yield* Effect.sleep("2500 millis")
      assert.strictEqual((yield* reaches(connection.id, "issuing_cert")).state, "issuing_cert")
      world.edgeConnected = true
      yield* reaches(connection.id, "live")
    })
  )

  it.effect("drifts after two misses and recovers", () =>
    Effect.gen(function* () {
      const { world } = yield* Servers
      const calls = yield* Calls
      const connection = yield* create("drifting.example.com")
      yield* point(connection.hostname)
      yield* prove(connection.ownership_challenge.value)
      yield* reaches(connection.id, "live")
      const look = calls.request(checkRecords, { tenant_id: tenant, connection_id: connection.id })
      world.pointed.delete(connection.hostname)
      assert.strictEqual((yield* look).connection.state, "live")
      assert.strictEqual((yield* look).connection.state, "drifted")
      assert.isTrue(world.served.has(connection.hostname))
      world.pointed.add(connection.hostname)
      yield* reaches(connection.id, "live")
    })
  )

  it.effect("tells the edges when the application's origin changes, of connections without one of their own", () =>
    Effect.gen(function* () {
      const { world } = yield* Servers
      const work = yield* Work
      const db = yield* Database
      const application_id = crypto.randomUUID()
      yield* db.query((sql) => sql`insert into gateway.tenants (id, name) values (${tenant}, 'a tenant') on conflict do nothing`)
      yield* db.query(
        (sql) => sql`insert into gateway.applications (id, tenant_id, name, environment, origin)
          values (${application_id}, ${tenant}, 'an application', 'test', 'https://new.example')`
      )
      const follows = yield* create("follows.example.com", { application_id })
      const own = yield* create("own.example.com", { application_id, origin: "https://own.example" })
      for (const connection of [follows, own]) {
        yield* prove(connection.ownership_challenge.value)
        yield* verify(connection)
      }
      yield* work.send(applicationChanged, { application_id, tenant_id: tenant }, { id: crypto.randomUUID() })
      yield* eventually(Effect.sync(() => assert.strictEqual(world.originOf(follows.hostname), "https://new.example")))
      assert.strictEqual(world.originOf(own.hostname), "https://own.example")
    })
  )

  it.effect("answers unavailable while Postgres is away, and goes on when it is back", () =>
    Effect.gen(function* () {
      const { world, postgres } = yield* Servers
      const connection = yield* create("patient.example.com")
      yield* postgres.stop("SIGKILL")
      const refused = yield* Effect.flip(create("refused.example.com"))
      assert.strictEqual(refused.code, "unavailable")
      world.pointed.add(connection.hostname)
      world.proofs.add(connection.ownership_challenge.value)
      yield* postgres.start
      yield* reaches(connection.id, "live")
    })
  )
})
