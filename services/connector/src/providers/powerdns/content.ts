/**
 * Record contents as PowerDNS's API writes them, and as we do: names with a trailing dot there, TXT quoted and escaped (RFC 1035 §5.1) in
 * strings of at most 255 bytes.
 */
import { normalise } from "@connect-domain/dns-provider/RecordSet.ts"

const named: ReadonlySet<string> = new Set(["CNAME", "NS", "ALIAS", "MX", "SRV"])

export const toContent = (type: string, value: string): string => {
  if (type === "TXT") return quote(value)
  return named.has(type) && !value.endsWith(".") ? `${value}.` : value
}

export const fromContent = (type: string, content: string): string => (type === "TXT" ? unquote(content) : normalise(type, content))

const quote = (text: string): string => {
  const bytes = Buffer.from(text, "utf8")
  const strings: Array<string> = []
  for (let at = 0; at < bytes.length || at === 0; at += 255) strings.push(`"${[...bytes.subarray(at, at + 255)].map(escaped).join("")}"`)
  return strings.join(" ")
}

const escaped = (byte: number): string => {
  const char = String.fromCharCode(byte)
  if (char === '"' || char === "\\") return `\\${char}`
  return byte >= 0x20 && byte < 0x7f ? char : `\\${String(byte).padStart(3, "0")}`
}

const unquote = (content: string): string => {
  const strings = content.match(/"(?:[^"\\]|\\.)*"/gs)
  if (strings === null) return content
  return Buffer.concat(strings.map((string) => unescaped(string.slice(1, -1)))).toString("utf8")
}

const unescaped = (text: string): Buffer =>
  Buffer.concat(
    [...text.matchAll(/\\(\d{3})|\\(.)|([^\\]+)/gs)].map(([, code, char, plain]) =>
      code === undefined ? Buffer.from(char ?? plain ?? "", "utf8") : Buffer.from([Number(code) & 255])
    )
  )
