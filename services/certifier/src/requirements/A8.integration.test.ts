/** A second CA: when the first dies in the middle of an order, and when CAA (a real BIND's answer) names only one of them. */
import { execFileSync } from "node:child_process"
import { lookCaa } from "@connect-domain/dns/lookCaa.ts"
import { Resolver } from "@connect-domain/dns/Resolver.ts"
import { startBind } from "@connect-domain/dns-provider/testing/startBind.ts"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Layer } from "effect"
import { eventually, eventuallyEffect } from "../../test/eventually.ts"
import { noCaa } from "../../test/FakeDns.ts"
import { Pebble } from "../../test/Pebble.ts"
import { ask, makeWorld, type World } from "../../test/World.ts"

const issued = (world: World, claimId: string) =>
  eventually("issued", () => world.notices.find((each) => each.claim_id === claimId && each.change === "issued"))
const hostOf = (pebble: Pebble) => new URL(pebble.directory).host

const backupOf = (world: World) =>
  Effect.acquireRelease(
    Effect.promise(() => Pebble.start({ httpPort: world.pebble.httpPort, trust: world.pebble })),
    (running) => Effect.promise(() => running.stop())
  )

describe("A8: backup CA", () => {
  it.live("A8: the first CA dies in the middle of an order: the second issues, one certificate", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld({ pebble: { sleepSeconds: 5 } })
      const backup = yield* backupOf(world)
      yield* world.certifierWith({ CD_ACME_DIRECTORY: `${world.pebble.directory},${backup.directory}` })
      const asked = ask("midway.example.com")
      yield* world.ensure(asked)
      yield* eventuallyEffect(
        "an order under way at the first",
        Effect.map(
          world.database.query((sql) => sql`select 1 from certifier.claims where order_directory = ${world.pebble.directory}`),
          (rows) => rows.length === 1
        )
      )
      yield* Effect.promise(() => world.pebble.stopCa())
      assert.strictEqual((yield* issued(world, asked.claim_id)).certificate.ca, hostOf(backup))
      const rows = yield* world.database.query((sql) => sql`select 1 from certifier.certificates`)
      assert.strictEqual(rows.length, 1)
    })
  )

  it.live("A8: CAA of a real name server names the second CA's account alone: it issues; the first never hears of the name", () =>
    Effect.gen(function* () {
      const bind = yield* Effect.acquireRelease(
        Effect.promise(() => startBind(["caa-fixture.example"])),
        (server) => Effect.promise(() => server.close())
      )
      const update = (...lines: ReadonlyArray<string>) =>
        execFileSync("nsupdate", ["-y", `${bind.algorithm}:${bind.keyName}:${bind.secret}`], {
          input: [`server 127.0.0.1 ${bind.port}`, ...lines, "send", ""].join("\n")
        })
      const env = { CD_MODE: "sandbox", CD_DNS_AUTHORITY_OVERRIDE: `127.0.0.1:${bind.port}`, CD_NETWORK_ALLOW: "127.0.0.0/8" }
      const resolver = Resolver.layer.pipe(Layer.provide(ConfigProvider.layer(ConfigProvider.fromEnvRecord(env))))
      const look = (hostname: string) => Effect.map(Effect.provide(lookCaa(hostname), resolver), (found) => ({ ...noCaa, ...found }))

      const world = yield* makeWorld()
      const backup = yield* backupOf(world)
      yield* world.certifierWith({ CD_ACME_DIRECTORY: `${world.pebble.directory},${backup.directory}` })
      const warm = ask("warm.caa-fixture.example")
      yield* world.ensure(warm)
      yield* issued(world, warm.claim_id)
      const account = yield* eventuallyEffect(
        "both accounts",
        Effect.map(
          world.database.query<{ kid: string }>(
            (sql) => sql`select kid from certifier.accounts where directory = ${backup.directory} and kid is not null`
          ),
          (rows) => rows[0]?.kid
        )
      )
      const orders = world.pebble.logged("Added order")
      // At the zone's top, through an alias of the name: the closest set counts (RFC 8659).
      update(
        `update add caa-fixture.example 60 CAA 0 issue "pebble.letsencrypt.org; accounturi=${account}"`,
        "update add real.caa-fixture.example 60 A 192.0.2.1",
        "update add shop.caa-fixture.example 60 CNAME real.caa-fixture.example."
      )
      const found = yield* look("shop.caa-fixture.example")
      assert.deepStrictEqual([found.verdict, found.records.length], ["found", 1])
      world.dns.caa = found
      const asked = ask("shop.caa-fixture.example")
      yield* world.ensure(asked)
      assert.strictEqual((yield* issued(world, asked.claim_id)).certificate.ca, hostOf(backup))
      assert.strictEqual(world.pebble.logged("Added order"), orders)

      // That CA goes away: a name that may have no other waits.
      yield* Effect.promise(() => backup.stopCa())
      const patient = ask("patient.caa-fixture.example")
      yield* world.ensure(patient)
      yield* eventuallyEffect(
        "it waits",
        Effect.map(
          world.database.query((sql) => sql`select 1 from certifier.claims where claim_id = ${patient.claim_id} and failures > 0`),
          (rows) => rows.length === 1
        )
      )
      assert.strictEqual(world.pebble.logged("Added order"), orders)
    })
  )
})
