/**
 * Takes secrets out of what is about to be logged.
 *
 * Owns: which keys and which forms of text are secrets. The last line of defence: code that holds a secret should not log it at all.
 */

const secretKey = /secret|token|passw|authorization|cookie|seed|private|api_?key|credential|signature|_kek$|sealed/i
/** Keys that match the pattern above and are not secret. */
const harmlessKey = /^(token_type|credential_id|credential_fields|key_id|signature_valid)$/

const secretText: ReadonlyArray<readonly [RegExp, string]> = [
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(-----END [A-Z ]*PRIVATE KEY-----|$)/g, "<redacted private key>"],
  [/\b(sk_(?:live|test)_)[A-Za-z0-9_-]+/g, "$1<redacted>"],
  [/\bwhsec_[A-Za-z0-9+/=_-]+/g, "whsec_<redacted>"],
  [/\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{8,}/gi, "$1 <redacted>"],
  [/\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*/g, "<redacted token>"],
  [/\bS[UAOC][A-Z2-7]{56}\b/g, "<redacted seed>"],
  [/([a-z][a-z0-9+.-]*:\/\/[^\s:/@]*):[^\s/@]+@/gi, "$1:<redacted>@"]
]

/** The text with everything that looks like a secret replaced. */
export const redactText = (text: string): string =>
  secretText.reduce((result, [pattern, replacement]) => result.replace(pattern, replacement), text)

const maximumDepth = 6
const maximumText = 8_192

/** A copy of `value` that can be written as JSON: secrets replaced, errors as text, cycles and depths cut. */
export const redact = (value: unknown, depth = 0): unknown => {
  if (typeof value === "string") return redactText(value.length > maximumText ? `${value.slice(0, maximumText)}…` : value)
  if (typeof value === "bigint" || typeof value === "symbol" || typeof value === "function") return String(value)
  if (typeof value !== "object" || value === null) return value
  if (value instanceof Date) return value.toISOString()
  if (value instanceof Error) return redactText(describeError(value))
  if (value instanceof Uint8Array) return `<${value.byteLength} bytes>`
  if (depth >= maximumDepth) return "…"
  if (Array.isArray(value)) return value.slice(0, 100).map((item) => redact(item, depth + 1))
  if (value instanceof Map) return redact(Object.fromEntries(value), depth)
  if (value instanceof Set) return redact([...value], depth)
  // Effect's Redacted and other objects that say themselves how they are to be written.
  const { toJSON } = value as { readonly toJSON?: unknown }
  if (typeof toJSON === "function") return redact(toJSON.call(value), depth + 1)
  const result: Record<string, unknown> = {}
  for (const [key, item] of Object.entries(value)) {
    result[key] = isSecretKey(key) && item !== null && item !== undefined ? "<redacted>" : redact(item, depth + 1)
  }
  return result
}

export const isSecretKey = (key: string): boolean => secretKey.test(key) && !harmlessKey.test(key)

const describeError = (error: Error): string => {
  const own = error.stack?.includes(error.message) === true ? error.stack : `${error.name}: ${error.message}\n${error.stack ?? ""}`
  return error.cause === undefined
    ? own
    : `${own}\ncaused by ${error.cause instanceof Error ? describeError(error.cause) : String(error.cause)}`
}
