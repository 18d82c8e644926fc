/** Request lines, methods, versions, targets. */
import { each, host, message, type RawCase } from "./RawCase.ts"

const line = (text: string) => message(text, `Host: ${host}`)

export const requestLines: ReadonlyArray<RawCase> = [
  ...each(
    {
      "two spaces after the method": "GET  / HTTP/1.1",
      "two spaces before the version": "GET /  HTTP/1.1",
      "a tab between the parts": "GET\t/\tHTTP/1.1",
      "a space in front": " GET / HTTP/1.1",
      "a space behind": "GET / HTTP/1.1 ",
      "no target": "GET HTTP/1.1",
      "a space in the target": "GET /a b HTTP/1.1",
      "no version (HTTP/0.9)": "GET /",
      "a version in lower case": "GET / http/1.1",
      "a version with two digits": "GET / HTTP/1.10",
      "a version without minor": "GET / HTTP/1",
      "another protocol's name": "GET / HTTPS/1.1",
      "a version with a comma": "GET / HTTP/1,1"
    },
    400,
    'RFC 9112 §3: request-line = method SP request-target SP HTTP-version; §2.3: HTTP-version = HTTP-name "/" DIGIT "." DIGIT; an invalid request-line is answered 400, not repaired',
    line
  ),
  ...each(
    {
      "HTTP/2.0 in text": "GET / HTTP/2.0",
      "HTTP/3.0": "GET / HTTP/3.0",
      "HTTP/0.9 written out": "GET / HTTP/0.9",
      "the HTTP/2 preface": "PRI * HTTP/2.0"
    },
    505,
    "RFC 9110 §15.6.6: 505 for a major version that the server does not support",
    line
  ),
  {
    name: "HTTP/1.2",
    bytes: line("GET / HTTP/1.2"),
    expect: "served",
    why: "RFC 9110 §2.5: a higher minor version of the same major version is processed as the highest that is supported",
    forwarded: ["GET / HTTP/1.1"]
  },
  {
    name: "HTTP/1.0",
    bytes: line("GET / HTTP/1.0"),
    expect: "served",
    why: "RFC 9110 §2.5; an intermediary sends its own version (RFC 9112 §2.3)",
    forwarded: ["GET / HTTP/1.1"]
  },
  ...each(
    {
      "a method with a brace": "G{T / HTTP/1.1",
      "a method with a colon": "GET: / HTTP/1.1",
      "a method with a slash": "G/T / HTTP/1.1",
      "a method with a quotation mark": 'GE"T / HTTP/1.1'
    },
    400,
    "RFC 9110 §9.1: method = token",
    line
  ),
  ...each(
    {
      "a method in lower case": "get / HTTP/1.1",
      "a method with a digit": "GET2 / HTTP/1.1",
      "a method with an exclamation mark": "GET! / HTTP/1.1",
      "a method of 33 letters": `${"A".repeat(33)} / HTTP/1.1`
    },
    501,
    "RFC 9110 §9.1: a method that is not recognised or not implemented is answered 501; nginx reads capital letters only, so nothing else is forwarded",
    line
  ),
  ...each(
    {
      "above the root": "GET /../x HTTP/1.1",
      "above the root in percent forms": "GET /a/%2e%2E/.%2e/x HTTP/1.1",
      "above the root behind %2F": "GET /a%2f..%2F../x HTTP/1.1"
    },
    400,
    "RFC 3986 §5.2.4 stops at the root, nginx refuses: two readings, so it is not forwarded",
    line
  ),
  ...each(
    { CONNECT: `CONNECT ${host}:443 HTTP/1.1`, TRACE: "TRACE / HTTP/1.1" },
    405,
    "RFC 9110 §15.5.6; an edge is no tunnel (§9.3.6), and TRACE shows what was added (§9.3.8)",
    line
  ),
  ...each(
    {
      "a fragment": "GET /a#b HTTP/1.1",
      "a quotation mark in the path": 'GET /a" HTTP/1.1',
      "angle brackets": "GET /<a> HTTP/1.1",
      "a backslash in the path": "GET /a\\b HTTP/1.1",
      "a byte above 127": "GET /\xe4 HTTP/1.1",
      "an unfinished percent": "GET /a%2 HTTP/1.1",
      "a percent without hex digits": "GET /a%zz HTTP/1.1",
      "an encoded NUL": "GET /a%00 HTTP/1.1",
      "DEL in the target": "GET /a\x7f HTTP/1.1",
      "a relative target": "GET a/b HTTP/1.1",
      "an asterisk with GET": "GET * HTTP/1.1",
      "an authority with GET": `GET ${host}:443 HTTP/1.1`,
      "another scheme": `GET ftp://${host}/ HTTP/1.1`,
      "an absolute target without host": "GET http:///a HTTP/1.1",
      "an absolute target of another host": "GET https://other.example.org/ HTTP/1.1",
      "an absolute target with another port": `GET https://${host}:8443/ HTTP/1.1`,
      "an absolute target with user information": `GET https://${host}@evil.example.org/ HTTP/1.1`,
      "our host as user information": `GET https://user@${host}/ HTTP/1.1`,
      "an absolute target with a fragment": `GET https://${host}/#a HTTP/1.1`
    },
    400,
    "RFC 9112 §3.2: the four forms of request-target, by the grammar of RFC 3986; an invalid one is answered 400. E1: an absolute form's host equals Host",
    line
  ),
  {
    name: "an absolute target of this host",
    bytes: line(`GET https://${host.toUpperCase()}/a?b HTTP/1.1`),
    expect: "served",
    why: "RFC 9112 §3.2.2: a server MUST accept the absolute-form; an origin gets origin-form",
    forwarded: ["GET /a?b HTTP/1.1", `Host: ${host}`]
  },
  {
    name: "an absolute target without path",
    bytes: line(`GET https://${host} HTTP/1.1`),
    expect: "served",
    why: "RFC 9112 §3.2.1: an empty path is sent as /",
    forwarded: ["GET / HTTP/1.1"]
  },
  {
    name: "an absolute target with only a query",
    bytes: line(`GET https://${host}?a HTTP/1.1`),
    expect: "served",
    why: "RFC 9112 §3.2.1: an empty path is sent as /",
    forwarded: ["GET /?a HTTP/1.1"]
  },
  {
    name: "OPTIONS *",
    bytes: line("OPTIONS * HTTP/1.1"),
    expect: "served",
    why: "RFC 9112 §3.2.4: asterisk-form is for OPTIONS",
    forwarded: ["OPTIONS * HTTP/1.1"]
  },
  {
    name: "OPTIONS of a whole server in absolute form",
    bytes: line(`OPTIONS https://${host} HTTP/1.1`),
    expect: "served",
    why: "RFC 9112 §3.2.4: the last proxy sends * for an empty path",
    forwarded: ["OPTIONS * HTTP/1.1"]
  },
  {
    name: "what browsers send raw in a query",
    bytes: line("GET /a?b=[c]|{d}^`\\ HTTP/1.1"),
    expect: "served",
    why: "WHATWG URL: the query percent-encode set leaves these, and every browser sends them; none ends a target",
    forwarded: ["GET /a?b=[c]|{d}^`\\ HTTP/1.1"]
  },
  {
    name: "a percent-encoded path",
    bytes: line("GET /%E4%2F..%2fa/../x HTTP/1.1"),
    expect: "served",
    why: "RFC 3986 §2.4: an intermediary does not decode, and forwards the target as it stands (RFC 9112 §3.2.1)",
    forwarded: ["GET /%E4%2F..%2fa/../x HTTP/1.1"]
  },
  {
    name: "one empty line in front",
    bytes: `\r\n${line("GET / HTTP/1.1")}`,
    expect: "served",
    why: "RFC 9112 §2.2: a server SHOULD ignore at least one empty line before the request-line"
  },
  { name: "two empty lines in front", bytes: `\r\n\r\n${line("GET / HTTP/1.1")}`, expect: 400, why: "RFC 9112 §2.2: one is enough" },
  {
    name: "a TLS record",
    bytes: "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    expect: 400,
    why: "RFC 9112 §3: no method begins so"
  },
  { name: "a bare LF in front", bytes: `\n${line("GET / HTTP/1.1")}`, expect: 400, why: "RFC 9112 §2.2: an empty line is CRLF" }
]
