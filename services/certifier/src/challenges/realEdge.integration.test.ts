/** TLS-ALPN-01 and HTTP-01 answered by the real router: Pebble's questions arrive at its two listeners. */
import { connect } from "node:tls"
import { certificates, hostnames } from "@connect-domain/messages/buckets.ts"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { noticeOf, renewedAnew } from "../../test/outcomes.ts"
import { type Asked, ask, makeWorld, type World } from "../../test/World.ts"

/** What a visitor gets: the serial of the certificate, or the alert. */
const visit = (world: World, servername: string) =>
  Effect.callback<string>((resume) => {
    const options = {
      host: "127.0.0.1",
      port: world.pebble.tlsPort,
      servername,
      rejectUnauthorized: false,
      ALPNProtocols: ["h2", "http/1.1"]
    }
    const socket = connect(options, () => {
      resume(Effect.succeed(socket.getPeerCertificate().serialNumber.toLowerCase()))
      socket.destroy()
    })
    socket.on("error", (error: NodeJS.ErrnoException) => resume(Effect.succeed(error.code ?? error.message)))
  })

/** As the lifecycle does it: the name is held and has this certificate. */
const hold = (world: World, { hostname, claim_id, connection_id, tenant_id }: Asked, certificate_id: string) =>
  Effect.orDie(
    world.registry.bucket(hostnames).put(hostname.split(".").reverse().join("."), {
      ...{ hostname, status: "held" as const, connection_id, tenant_id, application_id: tenant_id, claim_id, environment: "live" as const },
      ...{ origin: null, certificate_id, flags: {}, version: 1 }
    })
  )

describe("challenges through the real router", () => {
  it.live(
    "TLS-ALPN-01 for a name that is in no registry; once it is served, renewals use HTTP-01 and TLS-ALPN-01 only as the last way",
    () =>
      Effect.gen(function* () {
        const world = yield* makeWorld({ router: true, pebble: { nonceReject: 30 }, env: { CD_ACME_CHALLENGES: "tls-alpn-01,http-01" } })
        yield* world.certifier
        const asked = ask("real.example.com")
        yield* world.ensure(asked)
        const first = yield* noticeOf(world, asked.claim_id, "issued")
        assert.strictEqual(first.certificate.challenge, "tls-alpn-01")
        assert.strictEqual(yield* visit(world, asked.hostname), "ERR_SSL_TLSV1_UNRECOGNIZED_NAME")

        yield* hold(world, asked, first.certificate_id!)
        yield* eventuallyServed(world, asked.hostname, first.certificate.serial!)
        const renewed = yield* renewedAnew(world, asked)
        assert.strictEqual(renewed.certificate.challenge, "http-01")

        // HTTP-01 has failed since: the served name is validated over TLS, and its visitors notice nothing.
        yield* world.database.query(
          (sql) => sql`update certifier.challenge_memory set failed_at = now(), worked_at = null where method = 'http-01'`
        )
        const last = yield* renewedAnew(world, asked)
        assert.strictEqual(last.certificate.challenge, "tls-alpn-01")
        assert.include(last.certificate.why!, "TLS-ALPN-01: no other challenge works for this name")
        assert.strictEqual(yield* visit(world, asked.hostname), first.certificate.serial)
        assert.isDefined(yield* world.kv.bucket(certificates).get(last.certificate_id!))
      })
  )
})

const eventuallyServed = (world: World, hostname: string, serial: string): Effect.Effect<void> =>
  Effect.flatMap(visit(world, hostname), (seen) =>
    seen === serial ? Effect.void : Effect.andThen(Effect.sleep("20 millis"), eventuallyServed(world, hostname, serial))
  )
