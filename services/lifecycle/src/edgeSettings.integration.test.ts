/** Settings at the edge from a call to the buckets: a hostname's flags, refused redirects, one put for an application. */
import { Database } from "@connect-domain/database/Database.ts"
import { applications, hostnames } from "@connect-domain/messages/buckets.ts"
import type { EdgeChange, EdgeSettings } from "@connect-domain/messages/edge.ts"
import { applicationChanged, archiveConnection, rebuild, updateConnection } from "@connect-domain/messages/lifecycle.ts"
import { Calls } from "@connect-domain/nats/Calls.ts"
import { Kv } from "@connect-domain/nats/Kv.ts"
import { Work } from "@connect-domain/nats/Work.ts"
import { assert, layer } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { create, eventually, everything, Servers, tenant, verify } from "./testing/Bench.ts"

const makeApplication = Effect.fnUntraced(function* (edge: EdgeSettings = {}, error_page: string | null = null) {
  const db = yield* Database
  const id = crypto.randomUUID()
  yield* db.query((sql) => sql`insert into gateway.tenants (id, name) values (${tenant}, 'a tenant') on conflict do nothing`)
  yield* db.query(
    (sql) => sql`insert into gateway.applications (id, tenant_id, name, environment, origin, edge, error_page)
      values (${id}, ${tenant}, 'an application', 'test', 'https://origin.example', ${sql.json(edge as never)}, ${error_page})`
  )
  yield* say(id)
  return id
})

const say = (application_id: string) =>
  Effect.flatMap(Work, (work) => work.send(applicationChanged, { application_id, tenant_id: tenant }, { id: crypto.randomUUID() }))

/** A connection that holds its name. */
const hold = Effect.fnUntraced(function* (hostname: string, application_id: string, edge: EdgeSettings = {}) {
  const { world } = yield* Servers
  const connection = yield* create(hostname, { application_id, edge })
  world.proofs.add(connection.ownership_challenge.value)
  yield* verify(connection)
  return connection
})

const change = (connection_id: string, edge: EdgeChange | null) =>
  Effect.flatMap(Calls, (calls) => calls.request(updateConnection, { tenant_id: tenant, connection_id, expected_version: null, edge }))

const shows = (hostname: string, flags: unknown) =>
  Effect.gen(function* () {
    const { world } = yield* Servers
    yield* eventually(Effect.sync(() => assert.deepStrictEqual(world.entries.get(hostname)?.flags, flags as never)))
  })

layer(everything, { excludeTestServices: true })("settings at the edge", (it) => {
  it.effect("of a connection reach the edges, one by one, and null takes one away", () =>
    Effect.gen(function* () {
      const application = yield* makeApplication()
      const { id, edge } = yield* hold("one.example.com", application, { maintenance: true })
      assert.deepStrictEqual(edge, { maintenance: true })
      yield* shows("one.example.com", { origin: "application", maintenance: { retry_after: 300 } })
      const changed = yield* change(id, { hsts: { max_age: 60 }, maintenance: false, limits: { requests_per_second: 5 } })
      assert.deepStrictEqual(changed.connection.edge, { maintenance: false, hsts: { max_age: 60 }, limits: { requests_per_second: 5 } })
      const hsts = { max_age: 60, include_subdomains: false, preload: false }
      yield* shows("one.example.com", { origin: "application", maintenance: false, hsts, limits: { requests_per_second: 5 } })
      assert.deepStrictEqual((yield* change(id, { maintenance: null, limits: null })).connection.edge, { hsts: { max_age: 60 } })
      yield* shows("one.example.com", { origin: "application", hsts })
      yield* change(id, null)
      yield* shows("one.example.com", { origin: "application" })
    })
  )

  it.effect("send two names to each other never, not even when both are told so at once", () =>
    Effect.gen(function* () {
      const application = yield* makeApplication()
      for (let round = 0; round < 2; round++) {
        const apex = yield* hold(`both${round}.example.net`, application)
        const www = yield* hold(`www.both${round}.example.net`, application)
        const told = [change(apex.id, { redirect: "www" }), change(www.id, { redirect: "apex" })]
        const exits = yield* Effect.all(told.map(Effect.exit), { concurrency: "unbounded" })
        assert.deepStrictEqual(exits.map(({ _tag }) => _tag).sort(), ["Failure", "Success"])
      }
    })
  )

  it.effect("redirect to the www name only while it is held in the same application, and never in a circle", () =>
    Effect.gen(function* () {
      const [application, other] = [yield* makeApplication(), yield* makeApplication()]
      const apex = yield* hold("circle.example.org", application)
      const refusal = yield* Effect.flip(change(apex.id, { redirect: "www" }))
      assert.strictEqual(refusal.code, "redirect_target_not_connected")
      assert.include(refusal.message, "www.circle.example.org")
      yield* hold("www.elsewhere.example.org", other)
      const elsewhere = yield* hold("elsewhere.example.org", application)
      assert.strictEqual((yield* Effect.flip(change(elsewhere.id, { redirect: "www" }))).code, "redirect_target_not_connected")
      const www = yield* hold("www.circle.example.org", application)
      yield* change(apex.id, { redirect: "www" })
      yield* shows("circle.example.org", { origin: "application", redirect_to: { hostname: "www", status: 308, keep_path: true } })
      for (const redirect of ["apex", { to: "https://circle.example.org/x" }] as const) {
        assert.include((yield* Effect.flip(change(www.id, { redirect }))).message, "circle.example.org redirects to www.circle.example.org")
      }
      assert.include((yield* Effect.flip(change(www.id, { redirect: "www" }))).message, "is the www name already")
      assert.include((yield* Effect.flip(change(apex.id, { redirect: { to: "circle.example.org" } }))).message, "itself")
      yield* change(www.id, { redirect: { to: "https://shop.example.net:8443/a/", status: 302, keep_path: false } })
      yield* shows("www.circle.example.org", {
        origin: "application",
        redirect_to: { hostname: "shop.example.net:8443", path: "/a", status: 302, keep_path: false }
      })
    })
  )

  it.effect("of a create that is repeated are not judged again: the target may have gone since", () =>
    Effect.gen(function* () {
      const calls = yield* Calls
      const application_id = yield* makeApplication()
      const www = yield* hold("www.twice.example.org", application_id)
      const given = { application_id, connection_id: crypto.randomUUID(), edge: { redirect: "www" } } as const
      const first = yield* create("twice.example.org", given)
      yield* calls.request(archiveConnection, { tenant_id: tenant, connection_id: www.id })
      assert.strictEqual((yield* create("twice.example.org", given)).id, first.id)
      const another = create("twice.example.org", { ...given, connection_id: crypto.randomUUID() })
      assert.strictEqual((yield* Effect.flip(another)).code, "redirect_target_not_connected")
    })
  )

  it.effect("of an archived connection do not change any more, and the refusal says what to do", () =>
    Effect.gen(function* () {
      const calls = yield* Calls
      const connection = yield* create("gone.example.com")
      yield* calls.request(archiveConnection, { tenant_id: tenant, connection_id: connection.id })
      const refusal = yield* Effect.flip(change(connection.id, { maintenance: true }))
      assert.strictEqual(refusal.code, "connection_archived")
      assert.include(refusal.message, "POST /v1/connections")
    })
  )

  it.effect("of an application are one put, however many connections it has", () =>
    Effect.gen(function* () {
      const { world } = yield* Servers
      const db = yield* Database
      const kv = yield* Kv
      const application = yield* makeApplication()
      const { id } = yield* hold("first.example.net", application)
      yield* shows("first.example.net", { origin: "application" })
      yield* db.query(
        (sql) => sql`
          insert into lifecycle.connections select (jsonb_populate_record(c, jsonb_build_object('id', gen_random_uuid(),
            'hostname', 'n' || n || '.example.net', 'claimed_hostname', 'n' || n || '.example.net'))).*
          from lifecycle.connections c, generate_series(1, 10000) n where c.id = ${id}`
      )
      const before = (yield* kv.bucket(hostnames).keys).length
      yield* db.query(
        (
          sql
        ) => sql`update gateway.applications set origin = 'https://moved.example', edge = '{"maintenance": true}', error_page = '<p>{status}'
          where id = ${application}`
      )
      yield* say(application)
      yield* eventually(
        Effect.sync(() => {
          assert.deepStrictEqual(world.applications.get(application)?.flags, { maintenance: { retry_after: 300 } })
          assert.strictEqual(world.applications.get(application)?.error_page, "<p>{status}")
          assert.strictEqual(world.originOf("first.example.net"), "https://moved.example")
        })
      )
      yield* eventually(
        Effect.map(
          db.query<{ count: number }>(
            (sql) => sql`select count(*) as count from lifecycle.connections
              where application_id = ${application} and application_origin = 'https://moved.example'`
          ),
          ([row]) => assert.strictEqual(row?.count, 10_001)
        )
      )
      assert.strictEqual((yield* kv.bucket(hostnames).keys).length, before)
      assert.strictEqual(world.entries.get("first.example.net")?.origin, "https://origin.example")
    })
  )

  it.effect("come back from Postgres after the bucket lost them, and strangers go", () =>
    Effect.gen(function* () {
      const { world } = yield* Servers
      const bucket = (yield* Kv).bucket(applications)
      const calls = yield* Calls
      const application = yield* makeApplication({ hsts: { max_age: 1 } })
      yield* eventually(Effect.sync(() => assert.isTrue(world.applications.has(application))))
      const stranger = { application_id: crypto.randomUUID(), tenant_id: tenant, origin: null, flags: {}, error_page: null }
      yield* bucket.put(stranger.application_id, stranger)
      yield* bucket.delete(application)
      yield* calls.request(rebuild, {})
      assert.deepStrictEqual((yield* bucket.get(application))?.value.flags, {
        hsts: { max_age: 1, include_subdomains: false, preload: false }
      })
      assert.isUndefined(yield* bucket.get(stranger.application_id))
      yield* eventually(
        Effect.sync(() => {
          assert.isTrue(world.applications.has(application))
          assert.isFalse(world.applications.has(stranger.application_id))
        })
      )
    })
  )

  it.effect("come back although the rebuild loses a deadlock against another change", () =>
    Effect.gen(function* () {
      const db = yield* Database
      const calls = yield* Calls
      const { id } = yield* hold("deadlock.example.com", yield* makeApplication())
      // Open work, which the rebuild makes due.
      yield* db.query(
        (sql) => sql`update lifecycle.connections set next_check_at = now() + interval '1 hour', state = 'verifying' where id = ${id}`
      )
      const waiting = db.query((sql) => sql`select 1 from pg_locks where not granted`)
      const rebuilt = yield* db.transaction(
        Effect.gen(function* () {
          // The rebuild looks for deadlocks first, and so is the one that must go.
          yield* db.query((sql) => sql`set local deadlock_timeout = '60s'`)
          yield* db.query((sql) => sql`update lifecycle.registry set put_version = put_version where entry ->> 'connection_id' = ${id}`)
          const rebuilding = yield* Effect.forkDetach(calls.request(rebuild, {}))
          yield* eventually(Effect.map(waiting, (rows) => assert.lengthOf(rows, 1)))
          yield* db.query((sql) => sql`update lifecycle.connections set next_check_at = now() + interval '2 hours' where id = ${id}`)
          return rebuilding
        })
      )
      assert.isAbove((yield* Fiber.join(rebuilt)).hostnames, 0)
    })
  )
})
