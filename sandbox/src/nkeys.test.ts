import { createRequire } from "node:module"
import { assert, it } from "@effect/vitest"
import { newUserSeed, publicKeyOf } from "./nkeys.ts"

// From nats-io's documentation of nkeys: a user's seed and the public key that belongs to it.
it("derives the public key NATS's own library derives", () => {
  const require = createRequire(createRequire(import.meta.url).resolve("@nats-io/transport-node"))
  const { fromSeed } = require("@nats-io/nkeys") as { fromSeed: (seed: Uint8Array) => { getPublicKey: () => string } }
  for (let i = 0; i < 20; i++) {
    const seed = newUserSeed()
    assert.match(seed, /^SU[A-Z2-7]{56}$/)
    assert.strictEqual(publicKeyOf(seed), fromSeed(new TextEncoder().encode(seed)).getPublicKey())
  }
})
