/**
 * One way of showing a CA that a name is ours, ready to be used for one claim at one CA.
 *
 * Owns: the shape. Leaves to `Proofs.ts` making them, to `AcmeAuthority.ts` when each is used.
 */
import type { Effect, Scope } from "effect"
import type { AcmeError } from "../acme/AcmeError.ts"
import type { Method } from "./methods.ts"

export interface Question {
  readonly token: string
  /** The key authorization (RFC 8555 §8.1). */
  readonly key: string
}

export interface InPlace {
  /** Asked after the CA failed to see the answer: false when that may have been our edges' doing, not the customer's DNS. */
  readonly wasInPlace: Effect.Effect<boolean>
}

export interface Proof {
  readonly method: Method
  /** Puts the answer in place until the scope closes. Its failure costs nothing at the CA: another way may be tried. */
  readonly answer: (question: Question) => Effect.Effect<InPlace, AcmeError, Scope.Scope>
  /** How it went, to be remembered; undefined: the CA took it. */
  readonly ended: (error: string | undefined) => Effect.Effect<void>
}
