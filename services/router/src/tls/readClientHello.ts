/**
 * Reads the ClientHello that a TLS connection begins with (RFC 8446 §4.1.2, RFC 5246 §7.4.1.2).
 *
 * Owns: server name and protocol list, as the client sent them in this very handshake. Leaves to OpenSSL: everything else; it gets the same bytes.
 * Built against: OpenSSL not telling the server name of a resumed TLS 1.2 session (Node then has none, E5), and against paying for a TLS object, a
 * context and an alert by way of C++ for every name that we don't know.
 */
export interface ClientHello {
  /** As sent; "" when there is none. */
  readonly serverName: string
  /** The list in its wire form, each with its length (RFC 7301 §3.1). */
  readonly protocols: Buffer
  /** The first 16 bytes of the session ticket, in hexadecimal: the name of the keys that it is sealed under. "" when there is none. */
  readonly ticket: string
}

/** `more`: not complete yet. `not-tls`: will never be. */
export type HelloVerdict = ClientHello | "more" | "not-tls"

/** A hello larger than this is nobody's: post-quantum key shares need about 2 KiB. */
export const maxHelloBytes = 16 * 1024

const handshakeRecord = 22
const clientHelloType = 1
const serverNameExtension = 0
const alpnExtension = 16
const sessionTicketExtension = 35
const preSharedKeyExtension = 41
const keyNameBytes = 16
const noProtocols = Buffer.alloc(0)

/** The handshake message out of its records; `more` or `not-tls`. */
const joinRecords = (bytes: Buffer): Buffer | "more" | "not-tls" => {
  const pieces: Array<Buffer> = []
  let gathered = 0
  let wanted = 4
  for (let at = 0; gathered < wanted; ) {
    if (bytes.length > at && bytes[at] !== handshakeRecord) return "not-tls"
    if (bytes.length > at + 1 && bytes[at + 1] !== 3) return "not-tls"
    if (bytes.length < at + 5) return "more"
    const length = bytes.readUInt16BE(at + 3)
    if (length === 0 || length > 16_384) return "not-tls"
    const piece = bytes.subarray(at + 5, at + 5 + length)
    pieces.push(piece)
    gathered += piece.length
    at += 5 + length
    if (gathered >= 4 && wanted === 4) {
      const head = pieces.length === 1 ? piece : Buffer.concat(pieces)
      if (head[0] !== clientHelloType) return "not-tls"
      wanted = 4 + head.readUIntBE(1, 3)
      if (wanted > maxHelloBytes) return "not-tls"
    }
    if (gathered < wanted && at > bytes.length) return "more"
  }
  return pieces.length === 1 ? pieces[0]!.subarray(4, wanted) : Buffer.concat(pieces).subarray(4, wanted)
}

/** How many bytes there must be before it is worth looking again: to the end of the record, or of its head, that is not complete yet. */
export const helloWants = (bytes: Buffer): number => {
  for (let at = 0; ; ) {
    if (bytes.length < at + 5) return at + 5
    at += 5 + bytes.readUInt16BE(at + 3)
    if (bytes.length < at) return at
  }
}

const readServerName = (data: Buffer): string => {
  // RFC 6066 §3: a list with at most one name of type host_name.
  if (data.length < 5 || data[2] !== 0) return ""
  const length = data.readUInt16BE(3)
  return 5 + length <= data.length ? data.toString("latin1", 5, 5 + length) : ""
}

const readKeyName = (ticket: Buffer): string => (ticket.length < keyNameBytes ? "" : ticket.toString("hex", 0, keyNameBytes))

/** Where the extensions begin: behind version, random, session id, cipher suites, compression methods. -1: malformed or none. */
const extensionsAt = (hello: Buffer): number => {
  let at = 34
  if (hello.length < at + 1) return -1
  at += 1 + hello[at]!
  if (hello.length < at + 2) return -1
  at += 2 + hello.readUInt16BE(at)
  if (hello.length < at + 1) return -1
  at += 1 + hello[at]!
  return hello.length < at + 2 ? -1 : at + 2
}

/** `bytes`: everything that came so far. */
export const readClientHello = (bytes: Buffer): HelloVerdict => {
  const hello = joinRecords(bytes)
  if (typeof hello === "string") return hello
  let serverName = ""
  let protocols: Buffer = noProtocols
  let ticket = ""
  let at = extensionsAt(hello)
  while (at >= 0 && at + 4 <= hello.length) {
    const type = hello.readUInt16BE(at)
    const end = at + 4 + hello.readUInt16BE(at + 2)
    if (end > hello.length) return "not-tls"
    if (type === serverNameExtension) serverName = readServerName(hello.subarray(at + 4, end))
    else if (type === sessionTicketExtension) ticket = readKeyName(hello.subarray(at + 4, end))
    // RFC 8446 §4.2.11: a list of identities, each with its length; the first is the one to resume.
    else if (type === preSharedKeyExtension) ticket = readKeyName(hello.subarray(at + 8, end))
    else if (type === alpnExtension) protocols = hello.subarray(Math.min(at + 6, end), end)
    at = end
  }
  return { serverName, protocols, ticket }
}

/** A fatal alert `unrecognized_name` (RFC 6066 §3), before any version was agreed on. */
export const unrecognizedName = Buffer.from([21, 3, 1, 0, 2, 2, 112])
