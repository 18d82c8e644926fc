/** Keys leave nowhere: not in NATS's files, not in Postgres's, not in a dump, not in logs. */
import { spawn } from "node:child_process"
import { createPrivateKey } from "node:crypto"
import { readdirSync, readFileSync, statSync } from "node:fs"
import { dirname, join } from "node:path"
import { importCertificate, importKey } from "@connect-domain/messages/certifier.ts"
import { parseKeyRing } from "@connect-domain/secrets/KeyRing.ts"
import { importedKeyPlace, sealFor } from "@connect-domain/secrets/PublicSeal.ts"
import { makeVault } from "@connect-domain/secrets/Vault.ts"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import { eventually } from "../../test/eventually.ts"
import { makeAuthority } from "../../test/madeCertificate.ts"
import { ask, makeWorld } from "../../test/World.ts"
import { certificateKeyPlace } from "../Certificates.ts"

const filesIn = (folder: string): ReadonlyArray<string> =>
  readdirSync(folder).flatMap((name) => {
    const path = join(folder, name)
    return statSync(path).isDirectory() ? filesIn(path) : [path]
  })

/** A key in every form that it could have been written in. */
const marksOf = (pem: string): ReadonlyArray<Buffer> => {
  const key = createPrivateKey(pem)
  const { d } = key.export({ format: "jwk" })
  const secret = Buffer.from(d!, "base64url")
  const body = pem.replace(/-----[A-Z ]+-----|\s/g, "")
  return [
    secret,
    Buffer.from(d!),
    Buffer.from(secret.toString("base64")),
    Buffer.from(secret.toString("hex")),
    Buffer.from(body.slice(40, 80))
  ]
}

describe("A10: keys", () => {
  it.live("A10: neither certificates', imported nor account keys stand in files of NATS or Postgres, in rows, or in logs", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld({ env: { CD_LOG_LEVEL: "debug" } })
      let logs = ""
      const worker = spawn(process.execPath, [join(import.meta.dirname, "../main.ts")], { env: { PATH: process.env.PATH, ...world.env } })
      yield* Effect.addFinalizer(() => Effect.sync(() => worker.kill("SIGKILL")))
      for (const stream of [worker.stdout, worker.stderr]) stream.on("data", (data: Buffer) => (logs += data.toString()))
      const [one, two] = [ask("one.example.com"), ask("two.example.com")]
      yield* Effect.forEach([one, two], world.ensure)
      const issued = (id: string) =>
        eventually("issued", () => world.notices.find((each) => each.claim_id === id && each.change === "issued"))
      yield* issued(one.claim_id)
      yield* issued(two.claim_id)
      const authority = yield* Effect.promise(() => makeAuthority())
      const leaf = yield* Effect.promise(() => authority.leaf({ names: ["one.example.com"] }))
      const sealed_key = sealFor(yield* world.calls.request(importKey, {}), leaf.keyPem, importedKeyPlace(one.connection_id))
      yield* world.calls.request(importCertificate, { ...one, certificate: `${leaf.pem}\n${authority.intermediatePem}`, sealed_key })
      yield* eventually("imported", () => world.notices.find((each) => each.certificate.issuer_origin === "imported"))

      const edge = makeVault(Result.getOrThrow(parseKeyRing(world.env.EDGE_KEK!)))
      const account = makeVault(Result.getOrThrow(parseKeyRing(world.env.CD_ACME_KEK!)))
      const certificates = yield* world.database.query<{ id: string; claim_id: string; key_sealed: string }>(
        (sql) => sql`select id, claim_id, key_sealed from certifier.certificates where key_sealed is not null`
      )
      const accounts = yield* world.database.query<{ directory: string; key_sealed: string }>(
        (sql) => sql`select directory, key_sealed from certifier.accounts`
      )
      const pems = [
        ...certificates.map((row) => Result.getOrThrow(edge.openText(row.key_sealed, certificateKeyPlace(row.claim_id, row.id)))),
        ...accounts.map((row) =>
          Result.getOrThrow(account.openText(row.key_sealed, { tenant: "certifier", table: "accounts", column: "key", row: row.directory }))
        )
      ]
      assert.strictEqual(certificates.length, 3)
      assert.strictEqual(new Set(pems).size, pems.length, "no key is used twice")
      const scalarOf = (pem: string) => createPrivateKey(pem).export({ format: "jwk" }).d
      assert.isTrue(
        pems.some((pem) => scalarOf(pem) === scalarOf(leaf.keyPem)),
        "the imported one is among them"
      )

      yield* world.database.query((sql) => sql`checkpoint`)
      const [folder] = yield* world.database.query<{ data_directory: string }>((sql) => sql`show data_directory`)
      const tables = yield* world.database.query<{ name: string }>(
        (sql) => sql`select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname in ('certifier', 'public')`
      )
      const rows = yield* Effect.forEach(tables, ({ name }) =>
        Effect.map(
          world.database.query<{ text: string }>((sql) => sql`select t::text as text from ${sql.unsafe(name)} as t`),
          (found) => Buffer.from(found.map(({ text }) => text).join("\n"))
        )
      )
      // nats-server -c <folder>/…: its store is beside its configuration.
      const nats = dirname(
        readFileSync(`/proc/${world.nats.pid()}/cmdline`, "utf8")
          .split("\0")
          .find((part) => part.startsWith("/") && part.endsWith(".conf"))!
      )
      const files = [...filesIn(nats), ...filesIn(folder!.data_directory)].map((path) => [path, readFileSync(path)] as const)
      const places = [...files, ["rows", Buffer.concat(rows)] as const, ["logs", Buffer.from(logs)] as const]
      assert.isAbove(files.length, 100)
      assert.isAbove(logs.length, 500)
      // What must be there is found, so what is not there is not overlooked.
      assert.isTrue(places.some(([, bytes]) => bytes.includes("one.example.com")))
      assert.isTrue(files.filter(([path]) => path.startsWith(nats)).some(([, bytes]) => bytes.includes("BEGIN CERTIFICATE")))
      for (const [path, bytes] of places) {
        assert.isFalse(bytes.includes("PRIVATE KEY-----"), path)
        for (const mark of pems.flatMap(marksOf)) assert.isFalse(bytes.includes(mark), path)
      }
    })
  )
})
