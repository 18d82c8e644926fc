/** Field lines: names, values, line ends, Host, the size of a head. */
import { each, get, host, message, type RawCase } from "./RawCase.ts"

const hostLine = (value: string) => message("GET / HTTP/1.1", `Host:${value}`)
const raw = (text: string) => `GET / HTTP/1.1\r\n${text}\r\n\r\n`

export const fieldLines: ReadonlyArray<RawCase> = [
  ...each(
    {
      "a space before the colon": "X : a",
      "a tab before the colon": "X\t: a",
      "no colon": "X",
      "an empty name": ": a",
      "a name with a space": "X Y: a",
      "a name with a slash": "X/Y: a",
      "a name with a byte above 127": "X\xe4: a",
      "a name in parentheses": "(X): a"
    },
    400,
    'RFC 9112 §5: field-line = field-name ":" OWS field-value OWS; §5.1: a server MUST reject white space between name and colon with 400',
    get
  ),
  ...each(
    {
      "a NUL in a value": "X: a\0b",
      "a NUL in a name": "X\0: a",
      "BEL in a value": "X: a\x07",
      "DEL in a value": "X: a\x7f",
      "a vertical tab in a value": "X: a\x0bb",
      "a form feed in a value": "X: a\x0cb"
    },
    400,
    "RFC 9110 §5.5: values with CR, LF or NUL are invalid and dangerous, other control characters are invalid; a recipient may reject or replace: rejected",
    get
  ),
  ...each(
    { "a bare CR in a value": "X: a\rb", "a bare CR at the end of a value": "X: a\r\r\nY: b", "a bare CR before the colon": "X\r: a" },
    400,
    "RFC 9112 §2.2: a recipient of a bare CR MUST consider it invalid or replace it with SP: refused",
    get
  ),
  ...each(
    {
      "lines that end in LF": `Host: ${host}\nX: a`,
      "a bare LF before the end": `Host: ${host}\r\nX: a\n`,
      "a smuggled line behind LF": `Host: ${host}\r\nX: a\nHost: other.example.org`
    },
    400,
    "RFC 9112 §2.2: a recipient MAY recognise a single LF as a line end: it may also refuse, and two readers that differ are a smuggling",
    raw
  ),
  {
    name: "a head that ends in LF LF",
    bytes: `GET / HTTP/1.1\nHost: ${host}\n\n`,
    expect: 400,
    why: "RFC 9112 §2.2: as above; it must not hang until a time limit either"
  },
  ...each(
    {
      "a folded value": "X: a\r\n b",
      "a value folded with a tab": "X: a\r\n\tb",
      "a line of one space": "X: a\r\n ",
      "a folded Transfer-Encoding": "Transfer-Encoding:\r\n chunked",
      "a folded Host": "X: a\r\n Host: other.example.org"
    },
    400,
    "RFC 9112 §5.2: a server that receives obs-fold MUST either reject the message with 400 or replace it: rejected",
    get
  ),
  {
    name: "white space before the first field",
    bytes: raw(` X: a\r\nHost: ${host}`),
    expect: 400,
    why: "RFC 9112 §2.2: a recipient of white space between start-line and first field MUST reject the message or drop those lines: rejected"
  },
  {
    name: "no Host",
    bytes: message("GET / HTTP/1.1", "X: a"),
    expect: 400,
    why: "RFC 9112 §3.2: a server MUST respond 400 to a request that lacks a Host field"
  },
  {
    name: "no Host in HTTP/1.0",
    bytes: message("GET / HTTP/1.0"),
    expect: 400,
    why: "E1: exactly one Host line, whatever the version: nothing else says whose site is meant"
  },
  {
    name: "two Host lines",
    bytes: get("Host: other.example.org"),
    expect: 400,
    why: "RFC 9112 §3.2: more than one Host line MUST be answered 400"
  },
  {
    name: "two equal Host lines",
    bytes: get(`Host: ${host}`),
    expect: 400,
    why: "RFC 9112 §3.2: more than one Host line MUST be answered 400"
  },
  ...each(
    {
      "an empty Host": "",
      "a Host of spaces": "   ",
      "a list of hosts": ` ${host}, other.example.org`,
      "two hosts and a space": ` ${host} other.example.org`,
      "user information in Host": ` user@${host}`,
      "a port and user information": ` ${host}:443@evil.example.org`,
      "a path in Host": ` ${host}/a`,
      "a fragment in Host": ` ${host}#a`,
      "a query in Host": ` ${host}?a`,
      "a scheme in Host": ` https://${host}`,
      "a percent in Host": " %73hop.example.org",
      "an underscore in Host": " sh_op.example.org",
      "an empty label": " shop..example.org",
      "a dot in front": ` .${host}`,
      "two trailing dots": ` ${host}..`,
      "a label of 64 letters": ` ${"a".repeat(64)}.example.org`,
      "a name of 254 letters": ` ${"a.".repeat(121)}example.org.x`,
      "a hyphen in front": " -shop.example.org",
      "a wildcard": " *.example.org",
      "an IPv4 address": " 127.0.0.1",
      "an IPv4 address in hex": " 0x7f.0.0.1",
      "an IPv6 address": " [::1]",
      "bytes above 127": " sh\xf6p.example.org",
      "an ideographic full stop in UTF-8": " shop\xe3\x80\x82example.org",
      "an empty port": ` ${host}:`,
      "a port with letters": ` ${host}:4a`,
      "a port of zero": ` ${host}:0`,
      "a port above 65535": ` ${host}:65536`,
      "a negative port": ` ${host}:-1`,
      "two ports": ` ${host}:443:443`,
      "a NUL in Host": ` ${host}\0.evil`,
      "a byte A0 behind Host": ` ${host}\xa0`
    },
    400,
    "RFC 9112 §3.2: a request with an invalid Host value MUST be answered 400; E1: Host is canon(host)[:port], by the same canonicaliser as everywhere (D6)",
    hostLine
  ),
  {
    name: "Host in capitals with a trailing dot and a port",
    bytes: hostLine(`  ${host.toUpperCase()}.:443 \t`),
    expect: "served",
    why: "RFC 3986 §3.2.2: hosts are case-insensitive; RFC 1034 §3.1: the trailing dot; RFC 9110 §5.5: white space around a value is not part of it",
    forwarded: [`Host: ${host}:443`]
  },
  {
    name: "odd but valid fields",
    bytes: get("X:", "Y:  a \t", "!#$%&'*+-.^_`|~9: b", "Z: \x80\xff"),
    expect: "served",
    why: "RFC 9110 §5.6.2: token; §5.5: obs-text; an empty value is a value",
    forwarded: ["X:", "!#$%&'*+-.^_`|~9: b", "Z: \x80\xff"]
  },
  {
    name: "fields of this hop are not forwarded",
    bytes: get(
      "Connection: close, X-Hop",
      "X-Hop: a",
      "Keep-Alive: timeout=5",
      "TE: trailers",
      "Proxy-Authorization: a",
      "Proxy-Connection: close",
      "Upgrade: h2c",
      "HTTP2-Settings: a",
      "Proxy: http://evil",
      "X-End: b"
    ),
    expect: "served",
    why: "RFC 9110 §7.6.1: an intermediary MUST remove Connection, what it names, and the known connection-specific fields",
    forwarded: ["X-End: b"],
    absent: ["X-Hop", "Keep-Alive", "TE:", "Proxy", "Upgrade", "HTTP2"]
  },
  {
    name: "forwarded fields are ours",
    bytes: get(
      "X-Forwarded-For: 6.6.6.6",
      "x-forwarded-HOST: evil",
      "X_Forwarded_Proto: http",
      "X.Real.IP: 6.6.6.6",
      "Forwarded: for=6.6.6.6",
      "X-CD-Connection: a"
    ),
    expect: "served",
    why: "E6: overwritten, under every spelling that an origin could read so",
    absent: ["6.6.6.6", "evil", "X_", "X.R", "X-CD-Connection: a"]
  },
  ...each(
    { "an invalid connection option": "Connection: a b", "a connection option and a byte A0": "Connection: close, X-Hop\xa0" },
    400,
    "RFC 9110 §7.6.1: connection-option = token",
    get
  ),
  {
    name: "values whose first and last bytes are A0 or 85, as of letters in UTF-8",
    bytes: get("X-City: Citt\xc3\xa0", "X-Other: \x85a\x85", "X-Both: \xa0 \xa0\t"),
    expect: "served",
    why: "RFC 9110 §5.6.3: OWS is SP and HTAB; whatever a latin1 string calls white space besides is obs-text (§5.5), part of the value",
    forwarded: ["X-City: Citt\xc3\xa0", "X-Other: \x85a\x85", "X-Both: \xa0 \xa0\t"]
  },
  {
    name: "Max-Forwards of OPTIONS",
    bytes: message("OPTIONS / HTTP/1.1", `Host: ${host}`, "Max-Forwards: 10"),
    expect: "served",
    why: "RFC 9110 §7.6.2: an intermediary that forwards it MUST write the value less one",
    forwarded: ["Max-Forwards: 9"]
  },
  {
    name: "Max-Forwards of GET",
    bytes: get("Max-Forwards: 0"),
    expect: "served",
    why: "RFC 9110 §7.6.2: it limits TRACE and OPTIONS; with other methods a recipient MAY ignore it",
    forwarded: ["Max-Forwards: 0"]
  },
  ...each(
    { "Max-Forwards with a sign": "-1", "a list in Max-Forwards": "1, 2", "Max-Forwards in hex": "0x1", "an empty Max-Forwards": "" },
    400,
    "RFC 9110 §7.6.2: Max-Forwards = 1*DIGIT; two readers of anything else may differ in who answers: refused",
    (value) => message("OPTIONS / HTTP/1.1", `Host: ${host}`, `Max-Forwards: ${value}`)
  ),
  {
    name: "an unknown expectation",
    bytes: get("Expect: the unexpected"),
    expect: 417,
    why: "RFC 9110 §10.1.1: 417 for an expectation other than 100-continue"
  },
  { name: "a head of 33 KiB", bytes: get(`X: ${"a".repeat(33 * 1024)}`), expect: 431, why: "RFC 6585 §5; a head over 32 KiB is refused" },
  {
    name: "a head of 33 KiB that does not end",
    bytes: `GET / HTTP/1.1\r\nHost: ${host}\r\nX: ${"a".repeat(33 * 1024)}`,
    expect: 431,
    why: "RFC 6585 §5: refused as soon as it is too large, not when it is complete"
  },
  {
    name: "1,001 lines",
    bytes: get(...Array.from({ length: 1000 }, (_, at) => `a${at}: b`)),
    expect: 431,
    why: "E2: 1,000 field lines are the limit; heads are never cut short"
  },
  {
    name: "980 lines",
    bytes: get(...Array.from({ length: 979 }, (_, at) => `a${at}: b`)),
    expect: "served",
    why: "E2: every line arrives",
    forwarded: ["a0: b", "a978: b"]
  }
]
