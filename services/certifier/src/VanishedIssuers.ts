/**
 * Certificates of a CA that no longer exists: a test CA makes a new root at each start and forgets what it signed.
 *
 * Owns: comparing the issuers of current certificates with the roots that the CA serves now, and marking for replacement what hangs under
 * none of them. On only where CD_ACME_ROOTS_URL is set, which no real CA needs. Leaves to `attendClaim.ts`: the replacement.
 * Built against: a sandbox whose certificates nobody trusts after a restart.
 */
import { X509Certificate } from "node:crypto"
import type { HttpClient } from "@connect-domain/egress/HttpClient.ts"
import { Config, Context, Effect, Layer, Option, Queue, Schedule } from "effect"
import { splitChain } from "./acme/certificateFacts.ts"
import { acmeDirectories, acmeHttpClient } from "./acmeDirectories.ts"
import { Certificates } from "./Certificates.ts"
import { Replacements } from "./Replacements.ts"
import { Wake } from "./Wake.ts"

/**
 * Where a test CA serves its roots: `<url>/0`, `<url>/1` … (Pebble: `https://<management>/roots`). Set, the certifier replaces, at its start
 * and whenever the CA seems to have lost its memory, every certificate that hangs under none of them. Default: unset, nothing is replaced.
 */
export const AcmeRootsUrl = Config.option(Config.String("CD_ACME_ROOTS_URL"))

export class VanishedIssuers extends Context.Service<
  VanishedIssuers,
  {
    /** Look again soon; returns at once. */
    readonly look: Effect.Effect<void>
    /** False until the first look is over and what it found has been replaced, or tried at least once. */
    readonly settled: Effect.Effect<boolean>
  }
>()("certifier/VanishedIssuers") {
  static readonly layer = Layer.effect(
    VanishedIssuers,
    Effect.gen(function* () {
      const rootsUrl = Option.getOrUndefined(yield* AcmeRootsUrl)
      if (rootsUrl === undefined) return VanishedIssuers.of({ look: Effect.void, settled: Effect.succeed(true) })
      const [replacements, certificates, wake] = [yield* Replacements, yield* Certificates, yield* Wake]
      const client = yield* acmeHttpClient
      const directories = yield* acmeDirectories
      const asked = yield* Queue.sliding<void>(1)
      let looked = false

      const lookNow = Effect.gen(function* () {
        const roots = yield* readRoots(client, rootsUrl)
        for (const directory of new Set([...directories.live, ...directories.test])) {
          const tops = yield* certificates.tops(directory)
          const trusted = tops.filter(({ chain }) => hangsUnder(chain, roots)).map((top) => top.top_fingerprint)
          const marked = trusted.length === tops.length ? 0 : yield* replacements.replaceForeign(directory, trusted)
          if (marked > 0) yield* Effect.logWarning("certificates of a vanished test CA are being replaced", { directory, count: marked })
        }
        looked = true
        yield* wake.now
      })

      yield* Queue.offer(asked, undefined)
      yield* Queue.take(asked).pipe(
        Effect.andThen(Effect.retry(lookNow, Schedule.min([Schedule.exponential("100 millis"), Schedule.spaced("2 seconds")]))),
        Effect.forever,
        Effect.forkScoped
      )
      const settled = Effect.suspend(() =>
        looked
          ? replacements.replacing.pipe(
              Effect.map((count) => count === 0),
              Effect.orElseSucceed(() => false)
            )
          : Effect.succeed(false)
      )
      return VanishedIssuers.of({ look: Effect.asVoid(Queue.offer(asked, undefined)), settled })
    })
  )
}

class NoRoots extends Error {
  readonly _tag = "NoRoots"
}

const readRoots = Effect.fnUntraced(function* (client: HttpClient["Service"], url: string) {
  const roots: Array<X509Certificate> = []
  for (let index = 0; index < 10; index++) {
    const answer = yield* client.request(`${url}/${index}`)
    if (answer.status !== 200) break
    roots.push(new X509Certificate(Buffer.from(answer.body)))
  }
  return roots.length === 0 ? yield* Effect.fail(new NoRoots(`${url} serves no roots`)) : roots
})

/** Is the chain's last certificate signed by one of the roots, or one itself? */
const hangsUnder = (chain: string, roots: ReadonlyArray<X509Certificate>): boolean => {
  const top = new X509Certificate(splitChain(chain).at(-1)!)
  return roots.some((root) => root.fingerprint256 === top.fingerprint256 || (top.checkIssued(root) && top.verify(root.publicKey)))
}
