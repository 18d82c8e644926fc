/** Certificates before cut-over, the records that make them possible, wildcards, and what a recovered DNS is told the certifier. */
import { Database } from "@connect-domain/database/Database.ts"
import { delegationTarget } from "@connect-domain/domain/acmeNames.ts"
import type { ConnectionView } from "@connect-domain/messages/connection.ts"
import { archiveConnection, checkRecords } from "@connect-domain/messages/lifecycle.ts"
import { Calls } from "@connect-domain/nats/Calls.ts"
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { create, eventsOf, eventually, everythingWith, otherTenant, reaches, Servers, tenant, verify } from "./testing/Bench.ts"

const zone = "acme.example.net"
const sealed = { credential_id: "k", tenant_id: tenant, provider: "memory", sealed: "x" }
const prove = ({ ownership_challenge }: ConnectionView) =>
  Effect.map(Servers, ({ world }) => void world.proofs.add(ownership_challenge.value))
const look = ({ id: connection_id, tenant_id }: ConnectionView) =>
  Effect.flatMap(Calls, (calls) => calls.request(checkRecords, { tenant_id, connection_id }))
const shown = ({ desired_records }: ConnectionView) => desired_records.map(({ host, type, required }) => [host, type, required ?? true])
const wishesFor = (hostname: string) => Effect.map(Servers, ({ world }) => world.wishes.filter((wish) => wish.hostname === hostname))

layer(everythingWith({ CD_ACME_DNS_ZONE: zone, CD_LIVE_CHECK_SECONDS: "3600" }), { excludeTestServices: true })("certificates", (it) => {
  it.effect("a delegated name has its certificate before its records point at us: cut-over without an order, and the pair of events", () =>
    Effect.gen(function* () {
      const { world } = yield* Servers
      const connection = yield* create("moving.example.com")
      const alias = connection.desired_records[1]
      assert.deepStrictEqual(alias, {
        host: "_acme-challenge.moving.example.com",
        type: "CNAME",
        value: delegationTarget(tenant, "moving.example.com", zone),
        ttl: 300,
        required: false
      })
      world.standing.add(alias!.host)
      yield* prove(connection)
      assert.strictEqual((yield* verify(connection)).state, "propagating")
      yield* look(connection)
      yield* eventually(Effect.sync(() => assert.strictEqual(world.served.get(connection.hostname), `cert-${connection.id}`)))
      assert.strictEqual((yield* reaches(connection.id, "propagating")).state, "propagating")
      assert.deepStrictEqual(yield* eventsOf(connection.id), ["domain.verified"])
      const orders = world.orders.get(connection.id)
      world.pointed.add(connection.hostname)
      yield* look(connection)
      yield* reaches(connection.id, "live")
      assert.strictEqual(world.orders.get(connection.id), orders)
      yield* eventually(
        Effect.map(eventsOf(connection.id), (events) =>
          assert.deepStrictEqual(events, ["domain.verified", "ssl.issued", "domain.flow.completed"])
        )
      )
      // Gone again: nobody's drift.
      world.standing.delete(alias!.host)
      const { connection: after, look: seen } = yield* look(connection)
      assert.deepInclude(after, { state: "live", error_code: null })
      assert.deepInclude(seen, { verdict: "match" })
      assert.deepInclude(seen.records[1], { verdict: "mismatch" })
      assert.deepInclude(after.observed_records[1], { host: alias!.host, propagated: false })
    })
  )

  it.effect("with a credential the certificate is there before we write the records, and a certifier that is away holds nothing up", () =>
    Effect.gen(function* () {
      const { world } = yield* Servers
      const connection = yield* create("early.example.com", { credentials: [sealed] })
      yield* reaches(connection.id, "live")
      const written = world.writes.filter(({ hostname, purpose }) => hostname === connection.hostname && purpose === "records")
      assert.deepStrictEqual(
        written.map(({ certified }) => certified),
        [true]
      )
      assert.deepStrictEqual(shown(connection).at(-1), ["_acme-challenge.early.example.com", "CNAME", false])
      assert.strictEqual(world.served.get(connection.hostname), `cert-${connection.id}`)
      world.certifierWorks = false
      const patient = yield* create("patient.example.com", { credentials: [sealed] })
      yield* reaches(patient.id, "issuing_cert")
      world.certifierWorks = true
    })
  )

  it.effect("a lasting record is offered while the certifier names one, and never waited for", () =>
    Effect.gen(function* () {
      const { world } = yield* Servers
      world.lasting = ["ca.example; accounturi=https://ca.example/1"]
      const connection = yield* create("lasting.example.com", { environment: "live" })
      world.lasting = []
      assert.deepStrictEqual(shown(connection), [
        ["lasting.example.com", "CNAME", true],
        ["_acme-challenge.lasting.example.com", "CNAME", false],
        ["_validation-persist.lasting.example.com", "TXT", false]
      ])
      yield* prove(connection)
      world.pointed.add(connection.hostname)
      yield* reaches(connection.id, "live")
    })
  )

  it.effect("a connection made before a CA was seen to take lasting records is offered one at its next look, once", () =>
    Effect.gen(function* () {
      const { world } = yield* Servers
      const connection = yield* create("first.example.com", { environment: "live" })
      const before = shown(connection)
      assert.deepStrictEqual(before, [
        ["first.example.com", "CNAME", true],
        ["_acme-challenge.first.example.com", "CNAME", false]
      ])
      yield* prove(connection)
      assert.strictEqual((yield* verify(connection)).state, "propagating")
      world.lasting = ["ca.example; accounturi=https://ca.example/1"]
      const offered = [...before, ["_validation-persist.first.example.com", "TXT", false]]
      // For some seconds nobody asks the certifier again.
      const { connection: seen, look: looked } = yield* eventually(
        Effect.tap(look(connection), (answer) => Effect.sync(() => assert.deepStrictEqual(shown(answer.connection), offered)))
      )
      assert.strictEqual(looked.records.at(-1)!.value, world.lasting[0])
      assert.isAbove(seen.version, connection.version)
      assert.deepStrictEqual(shown((yield* look(connection)).connection), offered)
      world.lasting = []
      world.pointed.add(connection.hostname)
      yield* look(connection)
      yield* reaches(connection.id, "live")
      assert.deepStrictEqual(shown((yield* look(connection)).connection), offered)
    })
  )

  it.effect("whoever never looks is offered it with his certificate; the end names what is left in his DNS", () =>
    Effect.gen(function* () {
      const { world } = yield* Servers
      const connection = yield* create("silent.example.com", { environment: "live" })
      yield* prove(connection)
      yield* verify(connection)
      world.lasting = ["ca.example; accounturi=https://ca.example/1"]
      world.pointed.add(connection.hostname)
      yield* reaches(connection.id, "live")
      const names = ["silent.example.com", "_acme-challenge.silent.example.com", "_validation-persist.silent.example.com"]
      const db = yield* Database
      const hosts = db.query<{ host: string }>(
        (sql) =>
          sql`select r->>'host' as host from lifecycle.connections, jsonb_array_elements(desired_records) r where id = ${connection.id}`
      )
      yield* eventually(
        Effect.map(hosts, (found) =>
          assert.deepStrictEqual(
            found.map(({ host }) => host),
            names
          )
        )
      )
      world.lasting = []
      yield* (yield* Calls).request(archiveConnection, { tenant_id: tenant, connection_id: connection.id })
      const archived = db.query<{ data: { readonly leftover_records: ReadonlyArray<{ readonly host: string }> } }>(
        (sql) => sql`select data from lifecycle.events where connection_id = ${connection.id} and type = 'domain.archived'`
      )
      const [event] = yield* archived
      assert.deepStrictEqual(
        event!.data.leftover_records.map(({ host }) => host),
        names.slice(1)
      )
    })
  )

  it.effect("D8, D9: a wildcard is a claim of its own, proven with its own value at the name that it hangs on", () =>
    Effect.gen(function* () {
      const { world } = yield* Servers
      const exact = yield* create("shop.wild.example.com", { tenant_id: otherTenant })
      const base = yield* create("wild.example.com")
      const wild = yield* create("*.wild.example.com")
      assert.deepStrictEqual(shown(wild), [
        ["*.wild.example.com", "CNAME", true],
        ["_acme-challenge.wild.example.com", "CNAME", true]
      ])
      assert.strictEqual(wild.kind, "subdomain")
      assert.strictEqual(wild.ownership_challenge.name, base.ownership_challenge.name)
      yield* prove(base)
      assert.strictEqual((yield* Effect.flip(verify(wild))).code, "ownership_not_found")
      for (const each of [exact, wild]) yield* prove(each)
      for (const each of [exact, base, wild]) assert.strictEqual((yield* verify(each)).state, "propagating")
      world.pointed.add(wild.hostname)
      assert.strictEqual((yield* look(wild)).connection.state, "propagating")
      world.standing.add("_acme-challenge.wild.example.com")
      yield* look(wild)
      yield* reaches(wild.id, "live")
      assert.strictEqual(world.served.get("*.wild.example.com"), `cert-${wild.id}`)
      assert.strictEqual(world.served.get("shop.wild.example.com"), null)
      // The delegation is needed for renewals, not by visitors: its loss is no drift.
      world.standing.delete("_acme-challenge.wild.example.com")
      for (let times = 0; times < 3; times++) assert.strictEqual((yield* look(wild)).connection.state, "live")
    })
  )

  it.effect("a domain that is back tells the certifier that its records changed", () =>
    Effect.gen(function* () {
      const { world } = yield* Servers
      const connection = yield* create("back.example.com")
      yield* prove(connection)
      world.pointed.add(connection.hostname)
      yield* reaches(connection.id, "live")
      world.pointed.delete(connection.hostname)
      yield* look(connection)
      assert.strictEqual((yield* look(connection)).connection.state, "drifted")
      world.pointed.add(connection.hostname)
      yield* look(connection)
      yield* reaches(connection.id, "live")
      yield* eventually(
        Effect.map(wishesFor(connection.hostname), (wishes) => assert.strictEqual(wishes.at(-1)?.reason, "records_changed"))
      )
    })
  )
})
