/**
 * What is known of proofs from before: how each way went for a claim at each CA, and what each CA offers.
 *
 * Owns: the tables `certifier.challenge_memory` and `certifier.offers`. Leaves to `chooseMethods.ts`: what follows from it. All of it is
 * advice: a database that is away when something should be remembered costs a worse choice next time, never a certificate.
 */
import { Database, type DatabaseError } from "@connect-domain/database/Database.ts"
import { Context, Effect, Layer } from "effect"
import type { Remembered } from "./chooseMethods.ts"
import { isMethod, type Method } from "./methods.ts"
import type { PersistTerms } from "./persistRecords.ts"

/** What a CA offers for a name, as last seen in one of its authorizations. */
export interface Offers extends PersistTerms {
  readonly methods: ReadonlyArray<string>
}

/** The order itself, whatever the proof: the CA refuses the name. */
export const wholeOrder = "order"

interface Row {
  readonly directory: string
  readonly method: string
  readonly worked_at: Date | null
  readonly failed_at: Date | null
}

/** What is remembered of one claim. */
export class ClaimMemory {
  readonly rows: ReadonlyArray<Row>

  constructor(rows: ReadonlyArray<Row>) {
    this.rows = rows
  }

  at(directory: string): ReadonlyMap<Method, Remembered> {
    const here = this.rows.filter((row) => row.directory === directory)
    return new Map(
      here.flatMap(({ method, worked_at, failed_at }) =>
        isMethod(method) ? [[method, { worked: worked_at, failed: failed_at }] as const] : []
      )
    )
  }

  /** CAs that refused the name itself, and did not issue for it since. */
  get refusing(): ReadonlySet<string> {
    return new Set(this.rows.filter(({ method }) => method === wholeOrder).map(({ directory }) => directory))
  }
}

export class ChallengeMemory extends Context.Service<
  ChallengeMemory,
  {
    readonly of: (claimId: string) => Effect.Effect<ClaimMemory>
    /** The CA took the proof. */
    readonly worked: (claimId: string, directory: string, method: Method) => Effect.Effect<void>
    /** It did not, or the answer could not be put in place. */
    readonly failed: (claimId: string, directory: string, method: string, error: string) => Effect.Effect<void>
    /** The claim is over. In the caller's transaction. */
    readonly forget: (claimId: string) => Effect.Effect<void, DatabaseError>
    /** Undefined: never seen. */
    readonly offers: (directory: string) => Effect.Effect<Offers | undefined>
    /** `read` gets what is known and gives what was seen; undefined: nothing. */
    readonly learn: (directory: string, read: (before: Offers | undefined) => Offers | undefined) => Effect.Effect<void>
  }
>()("certifier/ChallengeMemory") {
  static readonly layer = Layer.effect(ChallengeMemory, Effect.map(Database, make))
}

function make({ query, transaction }: Database["Service"]): ChallengeMemory["Service"] {
  const known = new Map<string, Offers>()
  const advice = <E extends { readonly message: string }>(what: string) =>
    Effect.catch((error: E) => Effect.logInfo(`not remembered: ${what}`, { error: error.message }))

  const readOffers = Effect.fnUntraced(function* (directory: string) {
    const cached = known.get(directory)
    if (cached !== undefined) return cached
    const [row] = yield* query<{
      methods: ReadonlyArray<string>
      issuer_names: ReadonlyArray<string>
      account_uri: string
      hash_prefix: string | null
      thumbprints: ReadonlyArray<string>
    }>(
      (sql) => sql`select methods, issuer_names, account_uri, hash_prefix, thumbprints from certifier.offers where directory = ${directory}`
    )
    if (row === undefined) return undefined
    const { methods, issuer_names: issuers, account_uri: accountUri, hash_prefix: hashPrefix, thumbprints } = row
    const offers = { methods, issuers, accountUri, hashPrefix, thumbprints }
    known.set(directory, offers)
    return offers
  })

  return ChallengeMemory.of({
    of: (claimId) =>
      query<Row>(
        (sql) => sql`select directory, method, worked_at, failed_at from certifier.challenge_memory where claim_id = ${claimId}`
      ).pipe(
        Effect.orElseSucceed(() => []),
        Effect.map((rows) => new ClaimMemory(rows))
      ),

    worked: (claimId, directory, method) =>
      query(
        (sql) => sql`
          with forgiven as (
            delete from certifier.challenge_memory where claim_id = ${claimId} and directory = ${directory} and method = ${wholeOrder}
          )
          insert into certifier.challenge_memory (claim_id, directory, method, worked_at)
          select claim_id, ${directory}, ${method}, now() from certifier.claims
          where claim_id = ${claimId} and state <> 'released'
          on conflict (claim_id, directory, method) do update set worked_at = now(), failed_at = null, failures = 0, last_error = null`
      ).pipe(Effect.asVoid, advice("what worked")),

    failed: (claimId, directory, method, error) =>
      query(
        (sql) => sql`
          insert into certifier.challenge_memory (claim_id, directory, method, failed_at, failures, last_error)
          select claim_id, ${directory}, ${method}, now(), 1, ${error.slice(0, 500)} from certifier.claims
          where claim_id = ${claimId} and state <> 'released'
          on conflict (claim_id, directory, method) do update
            set failed_at = now(), failures = challenge_memory.failures + 1, last_error = excluded.last_error`
      ).pipe(Effect.asVoid, advice("what failed")),

    forget: (claimId) => Effect.asVoid(query((sql) => sql`delete from certifier.challenge_memory where claim_id = ${claimId}`)),

    offers: (directory) => Effect.orElseSucceed(readOffers(directory), () => undefined),

    learn: (directory, read) =>
      Effect.gen(function* () {
        const before = yield* readOffers(directory)
        const seen = read(before)
        if (seen === undefined) return
        const offers = before === undefined ? seen : merged(before, seen)
        if (before !== undefined && JSON.stringify(before) === JSON.stringify(offers)) return
        const list = (items: ReadonlyArray<string>) => [...items]
        yield* transaction(
          query(
            (sql) => sql`
              insert into certifier.offers (directory, methods, issuer_names, account_uri, hash_prefix, thumbprints)
              values (${directory}, ${sql.array(list(offers.methods))}, ${sql.array(list(offers.issuers))}, ${offers.accountUri},
                ${offers.hashPrefix}, ${sql.array(list(offers.thumbprints))})
              on conflict (directory) do update set methods = excluded.methods, issuer_names = excluded.issuer_names,
                account_uri = excluded.account_uri, hash_prefix = excluded.hash_prefix, thumbprints = excluded.thumbprints, seen_at = now()`
          )
        )
        known.set(directory, offers)
      }).pipe(advice("what the CA offers"))
  })
}

/** Former keys of the same account stay good in records (draft-ietf-acme-dns-persist-02 §4.2); another account starts anew. */
const merged = (before: Offers, seen: Offers): Offers => {
  if (before.accountUri !== seen.accountUri) return seen
  const former = before.thumbprints.filter((thumbprint) => !seen.thumbprints.includes(thumbprint))
  return { ...seen, thumbprints: [...former, ...seen.thumbprints] }
}
