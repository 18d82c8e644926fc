/**
 * Key-encryption keys: which ones there are, and which one seals.
 *
 * Owns: the setting's format, the refusal of default and feeble keys in production. Leaves to `Vault.ts`: using them.
 * Format: `<id>:<base64 of 32 bytes>[,<id>:<base64>…]`. The first seals, all open: to rotate, put a new key in front, re-wrap what is
 * sealed under the old one, then drop it. Built against: a key that protects nothing because it came with the documentation.
 */
import { createHash } from "node:crypto"
import { Mode } from "@connect-domain/domain/Mode.ts"
import { type Setting, secretSetting, wrongSetting } from "@connect-domain/domain/Setting.ts"
import { Config, Effect, Redacted, Result } from "effect"

export interface KeyRing {
  /** Seals. */
  readonly first: string
  readonly keys: ReadonlyMap<string, Uint8Array>
}

const keyId = /^[A-Za-z0-9_-]{1,32}$/
const base64 = /^[A-Za-z0-9+/_-]{43}=?$/

/** The setting's text to a ring; the failure is a sentence that never repeats key material. */
export const parseKeyRing = (text: string): Result.Result<KeyRing, string> => {
  const keys = new Map<string, Uint8Array>()
  for (const entry of text.split(",").map((part) => part.trim())) {
    const colon = entry.indexOf(":")
    const id = entry.slice(0, colon)
    if (colon < 0 || !keyId.test(id))
      return Result.fail("each key is written <id>:<base64 of 32 bytes>, the id of letters, digits, - and _")
    const material = entry.slice(colon + 1)
    const bytes = Buffer.from(material, "base64")
    if (!base64.test(material) || bytes.length !== 32) return Result.fail(`key ${id} is not the base64 of exactly 32 bytes`)
    if (keys.has(id)) return Result.fail(`the id ${id} stands twice`)
    keys.set(id, new Uint8Array(bytes))
  }
  return Result.succeed({ first: keys.keys().next().value!, keys })
}

/** What the sandbox uses when a ring is not set: derived from the setting's name, so known to everybody. */
export const sandboxKey = (name: string): Uint8Array =>
  new Uint8Array(createHash("sha256").update(`connect-domain sandbox key for ${name}`).digest())

/** Seals delegated DNS credentials and kept answers; gateway and connector. A key ring: `<id>:<base64 of 32 bytes>[,…]`. Required in production. */
export const CredentialEncKey = Config.Redacted("CREDENTIAL_ENC_KEY").pipe(Config.withDefault(Redacted.make("")))

/** Seals certificates' keys and session-ticket keys; certifier and router. A key ring. Required in production. */
export const EdgeKek = Config.Redacted("EDGE_KEK").pipe(Config.withDefault(Redacted.make("")))

/** Seals webhook signing secrets; webhooks. A key ring. Required in production. */
export const WebhookKek = Config.Redacted("WEBHOOK_KEK").pipe(Config.withDefault(Redacted.make("")))

/** Seals ACME account keys; certifier. A key ring. Required in production. */
export const AcmeKek = Config.Redacted("CD_ACME_KEK").pipe(Config.withDefault(Redacted.make("")))

/** Signs widget tokens and cursors; gateway. A key ring. Required in production. */
export const TokenKey = Config.Redacted("CD_TOKEN_KEY").pipe(Config.withDefault(Redacted.make("")))

/** Every ring of the product, so that one service's default can't be given to another as its production key. */
const rings = {
  CREDENTIAL_ENC_KEY: CredentialEncKey,
  EDGE_KEK: EdgeKek,
  WEBHOOK_KEK: WebhookKek,
  CD_ACME_KEK: AcmeKek,
  CD_TOKEN_KEY: TokenKey
}
export type RingName = keyof typeof rings
const ringNames = Object.keys(rings) as ReadonlyArray<RingName>

const isFeeble = (key: Uint8Array): boolean => new Set(key).size < 12 || ringNames.some((name) => Buffer.from(sandboxKey(name)).equals(key))

/**
 * The ring of the environment variable `name`. Unset, the sandbox gets a default; production refuses to start, as it does with a default,
 * a repeated or an otherwise guessable key.
 */
export const keyRing = (name: RingName): Effect.Effect<KeyRing, Config.ConfigError> =>
  Effect.gen(function* () {
    const mode = yield* Mode
    const text = Redacted.value(yield* rings[name])
    if (text === "") {
      if (mode === "production") return yield* wrongSetting(name, "is required in production")
      return { first: "sandbox", keys: new Map([["sandbox", sandboxKey(name)]]) }
    }
    const ring = parseKeyRing(text)
    if (Result.isFailure(ring)) return yield* wrongSetting(name, ring.failure)
    const feeble = [...ring.success.keys].find(([, key]) => isFeeble(key))
    if (mode === "production" && feeble) return yield* wrongSetting(name, `key ${feeble[0]} is a default or guessable; use 32 random bytes`)
    return ring.success
  })

export const keyRingSettings = (...names: ReadonlyArray<RingName>): ReadonlyArray<Setting> =>
  names.map((name) => secretSetting(name, keyRing(name), "<id>:<base64 of 32 random bytes>, older keys after it, separated by commas"))
