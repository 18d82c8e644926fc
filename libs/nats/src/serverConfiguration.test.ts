import { execFileSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import { codecOf } from "./codec.ts"
import { isSupportedVersion } from "./connection.ts"
import { createUsers, publicKeyOf, serverConfiguration } from "./serverConfiguration.ts"
import { natsServerProgram } from "./testing/NatsServer.ts"
import { withSeeds } from "./writeServerConfig.ts"

describe("server configuration", () => {
  it("is accepted by nats-server, holds no seed, and opens nothing but the client port", () => {
    const users = createUsers()
    const text = serverConfiguration({ listen: { host: "127.0.0.1", port: 4222 }, storeFolder: "/var/lib/nats", users })
    const folder = mkdtempSync(join(tmpdir(), "connect-domain-conf-"))
    const file = join(folder, "nats-server.conf")
    writeFileSync(file, text)
    execFileSync(natsServerProgram(), ["-t", "-c", file], { stdio: "pipe" })
    rmSync(folder, { recursive: true })
    for (const { seed, publicKey } of users) {
      assert.notInclude(text, seed)
      assert.include(text, publicKey)
      assert.strictEqual(publicKeyOf(seed), publicKey)
    }
    assert.include(text, "sync_interval: always")
    assert.notMatch(text, /websocket|mqtt|leafnodes|no_auth_user|http:/)
  })

  it("a deployment's seeds are made once and kept", () => {
    const first = withSeeds("A=1\nCD_GATEWAY_NATS_SEED=\n")
    assert.match(first.text, /^A=1\nCD_GATEWAY_NATS_SEED=SU[A-Z2-7]{56}\n/)
    const second = withSeeds(first.text)
    assert.strictEqual(second.text, first.text)
    assert.deepStrictEqual([...second.seeds], [...first.seeds])
  })

  it("versions: 2.12 is the oldest that is accepted", () => {
    for (const version of ["2.12.0", "2.12.12", "2.15.1", "3.0.0", "2.14.0-beta.1"]) assert.isTrue(isSupportedVersion(version), version)
    for (const version of ["2.9.10", "2.11.9", "1.4.0", "0", ""]) assert.isFalse(isSupportedVersion(version), version)
  })
})

describe("codec", () => {
  const schema = Schema.Struct({ id: Schema.String, count: Schema.optionalKey(Schema.Int) })

  it("drops unknown fields, refuses wrong ones, and is made once", () => {
    const codec = codecOf(schema)
    assert.strictEqual(codecOf(schema), codec)
    assert.deepStrictEqual(codec.decode('{"id":"a","later":1}'), Result.succeed({ id: "a" }))
    assert.isTrue(Result.isFailure(codec.decode('{"id":1}')))
    assert.isTrue(Result.isFailure(codec.decode("{")))
    assert.strictEqual(codec.encode({ id: "a", count: 1 }), '{"id":"a","count":1}')
    assert.throws(() => codec.encode({ id: "a", count: 1.5 }))
  })
})
