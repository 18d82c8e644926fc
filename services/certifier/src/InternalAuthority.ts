/**
 * Our own CA, for private networks and for machines without a test CA: a root, one intermediate, leaves that live as long as configured.
 *
 * Owns: the table `certifier.internal_authorities`, the root's file. Issues what `attendClaim.ts` asks for without any proof: the claim
 * is the proof. Built against: two certifiers making two roots (one transaction under a lock makes both certificates or none).
 */
import { randomBytes } from "node:crypto"
import { writeFileSync } from "node:fs"
import { Database } from "@connect-domain/database/Database.ts"
import { keyRing } from "@connect-domain/secrets/KeyRing.ts"
import { makeVault, type Place } from "@connect-domain/secrets/Vault.ts"
import * as x509 from "@peculiar/x509"
import { Clock, Config, Duration, Effect, Option } from "effect"
import { AcmeError, Unavailable } from "./acme/AcmeError.ts"
import { readCertificateFacts } from "./acme/certificateFacts.ts"
import { ecdsaP256, importKeyPair, makeKey } from "./acme/signingRequest.ts"
import type { CertificateAuthority, Issued } from "./CertificateAuthority.ts"
import { internalDirectory } from "./issuerOrigin.ts"

/** How long certificates of the internal CA live. Default 7 days; renewed at half of that. */
export const InternalLifetime = Config.Duration("CD_INTERNAL_CA_LIFETIME").pipe(Config.withDefault(Duration.days(7)))
/** Where the internal CA's root is written at start, PEM, for clients to trust. Unset: nowhere. */
export const InternalRootFile = Config.option(Config.String("CD_INTERNAL_CA_ROOT_FILE"))

type Role = "root" | "intermediate"
interface Authority {
  readonly pem: string
  readonly keyPem: string
  readonly notAfter: Date
}

const day = 86_400_000
const lifetimes: Readonly<Record<Role, number>> = { root: 3650 * day, intermediate: 1825 * day }
/** Clocks differ: what we issue is valid a little before now. */
const backdateMillis = 300_000
const lockId = 7_203_130

const placeOf = (role: Role): Place => ({ tenant: "certifier", table: "internal_authorities", column: "key", row: role })
const serial = (): string => `4${randomBytes(15).toString("hex").slice(1)}`

const signAuthority = async (role: Role, keyPem: string, now: number, root?: Authority): Promise<x509.X509Certificate> => {
  const keys = await importKeyPair(keyPem)
  const issuer = root === undefined ? undefined : new x509.X509Certificate(root.pem)
  const subject = `CN=Connect Domain internal ${role} ${serial().slice(0, 8)}`
  const usage = x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign
  return x509.X509CertificateGenerator.create({
    serialNumber: serial(),
    subject,
    issuer: issuer?.subject ?? subject,
    notBefore: new Date(now - backdateMillis),
    notAfter: new Date(Math.min(now + lifetimes[role], root?.notAfter.getTime() ?? Number.POSITIVE_INFINITY)),
    publicKey: keys.publicKey,
    signingKey: root === undefined ? keys.privateKey : (await importKeyPair(root.keyPem)).privateKey,
    signingAlgorithm: ecdsaP256,
    extensions: [
      new x509.BasicConstraintsExtension(true, role === "root" ? 1 : 0, true),
      new x509.KeyUsagesExtension(usage, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      ...(issuer === undefined ? [] : [await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey)])
    ]
  })
}

const signLeaf = async (hostname: string, keyPem: string, now: number, lifetime: number, by: Authority): Promise<string> => {
  const keys = await importKeyPair(keyPem)
  const issuer = new x509.X509Certificate(by.pem)
  const leaf = await x509.X509CertificateGenerator.create({
    serialNumber: serial(),
    subject: "",
    issuer: issuer.subject,
    notBefore: new Date(now - Math.min(backdateMillis, lifetime / 10)),
    notAfter: new Date(Math.min(now + lifetime, by.notAfter.getTime())),
    publicKey: keys.publicKey,
    signingKey: (await importKeyPair(by.keyPem)).privateKey,
    signingAlgorithm: ecdsaP256,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      // Critical, because the subject is empty (RFC 5280 §4.2.1.6).
      new x509.SubjectAlternativeNameExtension([{ type: "dns", value: hostname }], true),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey)
    ]
  })
  return `${leaf.toString("pem")}\n${by.pem.trim()}\n`
}

export const makeInternalAuthority = Effect.gen(function* () {
  const { query, transaction } = yield* Database
  const vault = makeVault(yield* keyRing("CD_ACME_KEK"))
  const lifetime = Duration.toMillis(yield* InternalLifetime)
  const rootFile = yield* InternalRootFile

  const read = Effect.fnUntraced(function* (role: Role) {
    const rows = yield* query<{ pem: string; key_sealed: string; not_after: Date }>(
      (sql) => sql`select pem, key_sealed, not_after from certifier.internal_authorities where role = ${role}`
    )
    const row = rows[0]
    if (row === undefined) return undefined
    const keyPem = yield* Effect.orDie(Effect.fromResult(vault.openText(row.key_sealed, placeOf(role))))
    return { pem: row.pem, keyPem, notAfter: row.not_after } satisfies Authority
  })

  const make = Effect.fnUntraced(function* (role: Role, now: number, root?: Authority) {
    const keyPem = yield* makeKey
    const certificate = yield* Effect.promise(() => signAuthority(role, keyPem, now, root))
    const made: Authority = { pem: certificate.toString("pem"), keyPem, notAfter: certificate.notAfter }
    const sealed = vault.seal(keyPem, placeOf(role))
    yield* query(
      (sql) => sql`
        insert into certifier.internal_authorities (role, pem, key_sealed, not_after) values (${role}, ${made.pem}, ${sealed}, ${made.notAfter})
        on conflict (role) do update set pem = excluded.pem, key_sealed = excluded.key_sealed, not_after = excluded.not_after, created_at = now()`
    )
    return made
  })

  /** An authority that outlives two leaves is good enough; else a new one takes its place, under the lock. */
  const authorities = Effect.fnUntraced(function* (now: number) {
    const lasts = (authority: Authority | undefined): authority is Authority =>
      authority !== undefined && authority.notAfter.getTime() > now + 2 * lifetime
    const [root, intermediate] = [yield* read("root"), yield* read("intermediate")]
    if (lasts(root) && lasts(intermediate)) return { root, intermediate }
    return yield* transaction(
      Effect.gen(function* () {
        yield* query((sql) => sql`select pg_advisory_xact_lock(${lockId})`)
        const found = yield* read("root")
        const keptRoot = lasts(found) ? found : yield* make("root", now)
        const below = yield* read("intermediate")
        return { root: keptRoot, intermediate: lasts(found) && lasts(below) ? below : yield* make("intermediate", now, keptRoot) }
      })
    )
  })

  const { root } = yield* authorities(yield* Clock.currentTimeMillis)
  if (Option.isSome(rootFile)) writeFileSync(rootFile.value, root.pem.endsWith("\n") ? root.pem : `${root.pem}\n`)

  const issue = Effect.fnUntraced(function* (hostname: string) {
    const now = yield* Clock.currentTimeMillis
    const { intermediate } = yield* authorities(now)
    const keyPem = yield* makeKey
    const chain = yield* Effect.promise(() => signLeaf(hostname, keyPem, now, lifetime, intermediate))
    const facts = readCertificateFacts(chain)
    return { chain, keyPem, facts, account: null, challenge: null, validatedAt: null, provedBefore: false, profile: null } satisfies Issued
  })

  return {
    name: "internal",
    directory: internalDirectory,
    needsProof: false,
    caa: Effect.succeed({ identities: [], accountUri: undefined, method: "" }),
    offers: Effect.undefined,
    issue: (request) =>
      Effect.catchTag(issue(request.hostname), "DatabaseError", (error) =>
        Effect.fail(new AcmeError({ operation: "internal", reason: new Unavailable({ detail: error.message }) }))
      ),
    renewalWindow: () => Effect.undefined
  } satisfies CertificateAuthority
})
