/** Certificates of an `AcmeDouble` that are held and served already, put into the certifier's tables without an order each. */
import type { Database } from "@connect-domain/database/Database.ts"
import { Effect } from "effect"
import { readCertificateFacts } from "../src/acme/certificateFacts.ts"
import type { AcmeDouble } from "./AcmeDouble.ts"
import { type Asked, ask } from "./World.ts"

export interface HeldOptions {
  readonly challenge?: string
  readonly issuedAt?: Date
  /** When they are looked at next; now unless given. */
  readonly dueAt?: Date
}

export const holdCertificates = Effect.fnUntraced(function* (
  { query }: Database["Service"],
  double: AcmeDouble,
  hostnames: ReadonlyArray<string>,
  options: HeldOptions = {}
) {
  const { challenge = "http-01", issuedAt = new Date(), dueAt = new Date() } = options
  return yield* Effect.forEach(hostnames, (hostname) =>
    Effect.gen(function* () {
      const asked: Asked = ask(hostname)
      const chain = yield* Effect.promise(() => double.issuer.mint(hostname))
      const facts = readCertificateFacts(chain)
      yield* query(
        (sql) => sql`
          insert into certifier.claims (claim_id, connection_id, tenant_id, hostname, environment, state, due_at)
          values (${asked.claim_id}, ${asked.connection_id}, ${asked.tenant_id}, ${hostname}, 'live', 'held', ${dueAt})`
      )
      yield* query(
        (sql) => sql`
          insert into certifier.certificates (id, claim_id, state, names, environment, chain, key_sealed, serial, not_before, not_after, ca,
            directory, issuer, top_fingerprint, cert_id, challenge, fence, created_at)
          values (gen_random_uuid(), ${asked.claim_id}, 'current', ${sql.array([hostname])}, 'live', ${chain}, 'sealed', ${facts.serial},
            ${facts.notBefore}, ${facts.notAfter}, 'double', ${double.directory}, ${facts.issuer}, ${facts.topFingerprint}, ${facts.certId!},
            ${challenge}, 0, ${issuedAt})`
      )
      return { asked, facts }
    })
  )
})
