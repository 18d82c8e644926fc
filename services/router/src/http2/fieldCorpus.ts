/** HTTP/2 field lists and what must happen to them. As in `http1/corpus`: data, each with the sentence that decides. */
export interface FieldCase {
  readonly name: string
  readonly fields: ReadonlyArray<string>
  readonly expect: number | "served"
  readonly why: string
  /** Lines that the origin must see. */
  readonly forwarded?: ReadonlyArray<string>
}

export const authority = "shop.example.org"
const base = [":method", "GET", ":scheme", "https", ":authority", authority, ":path", "/"]
/** The base with one pseudo-field changed; undefined leaves it out. */
const pseudo = (name: string, value: string | undefined): ReadonlyArray<string> =>
  base.flatMap((text, at) => {
    if (at % 2 === 1) return []
    if (text !== name) return [text, base[at + 1]!]
    return value === undefined ? [] : [name, value]
  })
const plus = (...fields: ReadonlyArray<string>) => [...base, ...fields]
const all = (names: Readonly<Record<string, ReadonlyArray<string>>>, expect: FieldCase["expect"], why: string): ReadonlyArray<FieldCase> =>
  Object.entries(names).map(([name, fields]) => ({ name, fields, expect, why }))

export const fieldCorpus: ReadonlyArray<FieldCase> = [
  { name: "a plain request", fields: base, expect: "served", why: "RFC 9113 §8.3.1", forwarded: ["GET / HTTP/1.1", `Host: ${authority}`] },
  ...all(
    {
      "no :method": pseudo(":method", undefined),
      "no :scheme": pseudo(":scheme", undefined),
      "no :path": pseudo(":path", undefined),
      "an empty :path": pseudo(":path", ""),
      "two :method": plus(":method", "GET"),
      "two :path": [...base, ":path", "/b"],
      "two :authority": [":authority", authority, ...base],
      ":status in a request": [":status", "200", ...base],
      "an unknown pseudo-field": [":unknown", "1", ...base],
      "a pseudo-field behind a field": [...pseudo(":path", undefined), "x", "1", ":path", "/"],
      ":protocol without CONNECT": [":protocol", "websocket", ...base]
    },
    400,
    "RFC 9113 §8.3: pseudo-fields are those defined, once each, before all fields; a request has :method, :scheme and :path (§8.3.1); otherwise it is malformed"
  ),
  {
    name: "a value whose last byte is A0, as of a letter in UTF-8",
    fields: plus("x-city", "Citt\xc3\xa0"),
    expect: "served",
    why: "RFC 9113 §8.2.1: white space is SP and HTAB, whatever a latin1 string calls so",
    forwarded: ["x-city: Citt\xc3\xa0"]
  },
  ...all(
    { "another scheme": pseudo(":scheme", "http"), "a scheme that is none": pseudo(":scheme", "https://x") },
    400,
    "RFC 9113 §8.3.1: :scheme is the scheme of the target; this is a TLS connection"
  ),
  ...all(
    {
      "a path without slash": pseudo(":path", "a"),
      "an absolute :path": pseudo(":path", `https://${authority}/`),
      "a fragment in :path": pseudo(":path", "/a#b"),
      "a space in :path": pseudo(":path", "/a b"),
      "a request line in :path": pseudo(":path", "/ HTTP/1.1\r\nHost: evil\r\n\r\n"),
      "a NUL in :path": pseudo(":path", "/\0"),
      "an asterisk with GET": pseudo(":path", "*"),
      "bytes above 127 in :path": pseudo(":path", "/\xe4"),
      "a tab in :path": pseudo(":path", "/a\tb"),
      "an unfinished percent in :path": pseudo(":path", "/%2")
    },
    400,
    "RFC 9113 §8.3.1: :path is path and query of the target, by RFC 3986's grammar; §10.3: what would not be a valid request line must not reach one"
  ),
  ...all(
    {
      "a space in :method": pseudo(":method", "GE T"),
      "a request in :method": pseudo(":method", "GET / HTTP/1.1\r\nHost: evil\r\n\r\nGET"),
      "an empty :method": pseudo(":method", "")
    },
    400,
    "RFC 9110 §9.1: method = token; RFC 9113 §10.3: an intermediary that turns it into a request line would be split"
  ),
  ...all({ "a method in lower case": pseudo(":method", "get") }, 501, "RFC 9110 §9.1: case-sensitive, and not implemented"),
  ...all(
    { TRACE: pseudo(":method", "TRACE"), "CONNECT to a host": [":method", "CONNECT", ":authority", "other.example.org:443"] },
    405,
    "RFC 9110 §9.3.6, §9.3.8: an edge is neither tunnel nor mirror"
  ),
  ...all(
    { "CONNECT for another protocol": [":method", "CONNECT", ":protocol", "connect-udp", ...base.slice(2)] },
    501,
    "RFC 8441 §4: the protocols that are served: websocket"
  ),
  ...all(
    {
      "no :authority and no host": pseudo(":authority", undefined),
      "an empty :authority": pseudo(":authority", ""),
      "user information in :authority": pseudo(":authority", `user@${authority}`),
      "a path in :authority": pseudo(":authority", `${authority}/x`),
      "a port with letters": pseudo(":authority", `${authority}:x`),
      "an IP address": pseudo(":authority", "127.0.0.1"),
      "a line end in :authority": pseudo(":authority", `${authority}\r\nX: a`),
      "an underscore": pseudo(":authority", "sh_op.example.org"),
      "a host that differs": plus("host", "other.example.org"),
      "a host with another port": plus("host", `${authority}:444`),
      "two hosts": plus("host", authority, "host", authority),
      "a host that is none": plus("host", "a b")
    },
    400,
    "E3: :authority is canon(host)[:port], and a host field says the same; RFC 9113 §8.3.1: a server SHOULD treat a request as malformed if they differ"
  ),
  {
    name: "host instead of :authority",
    fields: [...pseudo(":authority", undefined), "host", authority],
    expect: "served",
    why: "RFC 9113 §8.3.1: an intermediary that converts a request without :authority uses Host",
    forwarded: [`Host: ${authority}`]
  },
  {
    name: "host equal in another spelling",
    fields: plus("host", `${authority.toUpperCase()}.`),
    expect: "served",
    why: "RFC 3986 §3.2.2: hosts are case-insensitive",
    forwarded: [`Host: ${authority}`]
  },
  ...all(
    {
      connection: plus("connection", "close"),
      "keep-alive": plus("keep-alive", "timeout=5"),
      "proxy-connection": plus("proxy-connection", "close"),
      "transfer-encoding": plus("transfer-encoding", "chunked"),
      upgrade: plus("upgrade", "websocket"),
      "te other than trailers": plus("te", "gzip"),
      "te with more": plus("te", "trailers, deflate")
    },
    400,
    "RFC 9113 §8.2.2: a message with connection-specific fields MUST be treated as malformed; TE may be trailers only"
  ),
  {
    name: "te: trailers",
    fields: plus("te", "trailers"),
    expect: "served",
    why: "RFC 9113 §8.2.2: the one allowed value; it belongs to this hop"
  },
  ...all(
    {
      "a name in upper case": plus("X-Upper", "a"),
      "an empty name": plus("", "a"),
      "a name with a space": plus("x y", "a"),
      "a name with a colon": plus("x:y", "a"),
      "a name with a line end": plus("x\r\ny", "a"),
      "a name with a NUL": plus("x\0", "a"),
      "a name above 127": plus("x\xe4", "a"),
      "CR LF in a value": plus("x", "a\r\nTransfer-Encoding: chunked"),
      "LF in a value": plus("x", "a\nb"),
      "CR in a value": plus("x", "a\rb"),
      "NUL in a value": plus("x", "a\0b"),
      "a space in front of a value": plus("x", " a"),
      "a tab behind a value": plus("x", "a\t"),
      "a request in a cookie": plus("cookie", "a=b\r\n\r\nGET /smuggled HTTP/1.1")
    },
    400,
    "RFC 9113 §8.2.1: names in lower case and of token characters; values without NUL, CR, LF, and without white space around them; otherwise malformed"
  ),
  ...all(
    { content_length: plus("content_length", "5"), transfer_encoding: plus("transfer_encoding", "chunked") },
    400,
    "E1: twins of framing fields"
  ),
  ...all(
    {
      "two content-lengths": plus("content-length", "0", "content-length", "0"),
      "a content-length with a sign": plus("content-length", "+0"),
      "a list of lengths": plus("content-length", "0, 0"),
      "a length without a body": plus("content-length", "5")
    },
    400,
    "RFC 9113 §8.1.1: a content-length that does not equal the sum of DATA is malformed; RFC 9110 §8.6: 1*DIGIT"
  ),
  ...all({ "an unknown expectation": plus("expect", "more") }, 417, "RFC 9110 §10.1.1"),
  {
    name: "cookies in several fields",
    fields: plus("cookie", "a=1", "cookie", "b=2"),
    expect: "served",
    why: 'RFC 9113 §8.2.3: joined with "; " before they go elsewhere',
    forwarded: ["cookie: a=1; b=2"]
  },
  {
    name: "forwarded fields are ours",
    fields: plus("x-forwarded-for", "6.6.6.6", "x-cd-connection", "a", "forwarded", "for=6.6.6.6"),
    expect: "served",
    why: "E6"
  },
  {
    name: "OPTIONS *",
    fields: [":method", "OPTIONS", ":scheme", "https", ":authority", authority, ":path", "*"],
    expect: "served",
    why: "RFC 9113 §8.3.1: OPTIONS for the whole server",
    forwarded: ["OPTIONS * HTTP/1.1"]
  }
]
