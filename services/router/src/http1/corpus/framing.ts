/** What delimits a body: Content-Length, Transfer-Encoding, chunks, trailers. */
import { each, get, host, message, post, type RawCase } from "./RawCase.ts"

const chunked = (body: string) => post(body, "Transfer-Encoding: chunked")
const complete = "5\r\nhello\r\n0\r\n\r\n"

export const framing: ReadonlyArray<RawCase> = [
  ...each(
    {
      "Content-Length with a plus": "+5",
      "a negative Content-Length": "-5",
      "Content-Length in hex": "0x5",
      "Content-Length with a fraction": "5.0",
      "Content-Length with letters": "5a",
      "an empty Content-Length": "",
      "a list of equal lengths": "5, 5",
      "a list of lengths": "5, 6",
      "a length with a space": "5 5",
      "a length beyond 2^53": "9007199254740993",
      "a length of 20 digits": "18446744073709551621",
      "a length with an underscore": "1_0",
      "a quoted length": '"5"',
      "a length and a byte A0": "5\xa0"
    },
    400,
    "RFC 9110 §8.6: Content-Length = 1*DIGIT; RFC 9112 §6.3: an invalid one MUST be treated as an unrecoverable error, 400 and close; a list of equal values may be repaired: refused",
    (value) => post("hello", `Content-Length: ${value}`)
  ),
  {
    name: "two different Content-Lengths",
    bytes: post("hello", "Content-Length: 5", "Content-Length: 6"),
    expect: 400,
    why: "RFC 9112 §6.3: unrecoverable error"
  },
  {
    name: "two equal Content-Lengths",
    bytes: post("hello", "Content-Length: 5", "Content-Length: 5"),
    expect: 400,
    why: "RFC 9110 §8.6: may be replaced by one or rejected: rejected"
  },
  {
    name: "Content-Length and Transfer-Encoding",
    bytes: post(complete, "Content-Length: 5", "Transfer-Encoding: chunked"),
    expect: 400,
    why: "RFC 9112 §6.1: a server MAY reject a request with both: rejected"
  },
  {
    name: "Transfer-Encoding and Content-Length",
    bytes: post(complete, "Transfer-Encoding: chunked", "Content-Length: 5"),
    expect: 400,
    why: "RFC 9112 §6.1: a server MAY reject a request with both: rejected"
  },
  {
    name: "Transfer-Encoding in HTTP/1.0",
    bytes: `${message("POST / HTTP/1.0", `Host: ${host}`, "Transfer-Encoding: chunked")}${complete}`,
    expect: 400,
    why: "RFC 9112 §6.1: such a message MUST be treated as if its framing is faulty"
  },
  ...each(
    {
      identity: "identity",
      gzip: "gzip",
      "gzip, chunked": "gzip, chunked",
      "chunked, gzip": "chunked, gzip",
      "chunked twice": "chunked, chunked",
      "chunked, identity": "chunked, identity",
      "chunked with a parameter": "chunked;a=b",
      "chunked with a comma behind": "chunked,",
      "chunked with a comma in front": ",chunked",
      xchunked: "xchunked",
      "chunked in quotation marks": '"chunked"',
      "chunked and more": "chunked x",
      "an empty Transfer-Encoding": "",
      "chunked behind a vertical tab": "\x0bchunked",
      "chunked and a byte A0": "chunked\xa0",
      "chun with a space": "chun ked"
    },
    400,
    "E1: Transfer-Encoding is exactly chunked; RFC 9112 §6.1: an unknown coding is answered with an error, §6.3: a final coding other than chunked can't be delimited: 400",
    (value) => post(complete, `Transfer-Encoding: ${value}`)
  ),
  {
    name: "two Transfer-Encoding lines",
    bytes: post(complete, "Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
    expect: 400,
    why: "RFC 9112 §6.1: chunked MUST NOT be applied more than once"
  },
  {
    name: "Transfer-Encoding: identity behind chunked",
    bytes: post(complete, "Transfer-Encoding: chunked", "Transfer-Encoding: identity"),
    expect: 400,
    why: "RFC 9112 §6.3: a final coding other than chunked can't be delimited"
  },
  ...each(
    {
      Content_Length: "Content_Length: 5",
      Transfer_Encoding: "Transfer_Encoding: chunked",
      "content.length": "content.length: 5",
      "Transfer_Encoding beside Content-Length": "Content-Length: 5\r\nTransfer_Encoding: chunked",
      Host_twin: "Ho_st: a\r\nHOST_: b\r\nTE_: a\r\nTransfer~Encoding: chunked"
    },
    400,
    "E1: twins of framing fields; servers that follow CGI (RFC 3875 §4.1.18) read - and _ as one",
    (lines) => post("hello", lines)
  ),
  {
    name: "Transfer-Encoding: CHUNKED",
    bytes: post(complete, "Transfer-Encoding: CHUNKED"),
    expect: "served",
    body: "hello",
    why: "RFC 9112 §7: transfer-coding names are case-insensitive",
    forwarded: ["Transfer-Encoding: chunked"]
  },
  {
    name: "leading zeros in Content-Length",
    bytes: post("hello", "Content-Length: 0005"),
    expect: "served",
    body: "hello",
    why: "RFC 9110 §8.6: 1*DIGIT, a decimal number; it is written anew",
    forwarded: ["Content-Length: 5"]
  },
  {
    name: "a body with GET",
    bytes: `${get("Content-Length: 5")}hello`,
    expect: "served",
    body: "hello",
    why: "RFC 9112 §6: the presence of a body is signalled by its framing, whatever the method"
  },
  {
    name: "Content-Length: 0",
    bytes: post("", "Content-Length: 0"),
    expect: "served",
    body: "",
    why: "RFC 9110 §8.6",
    forwarded: ["Content-Length: 0"]
  },
  {
    name: "a POST without a length",
    bytes: post(""),
    expect: "served",
    body: "",
    why: "RFC 9112 §6.3: neither field: the length is zero",
    absent: ["Content-Length", "Transfer-Encoding"]
  },
  { name: "chunks", bytes: chunked("1\r\nh\r\n4\r\nello\r\n0\r\n\r\n"), expect: "served", body: "hello", why: "RFC 9112 §7.1" },
  {
    name: "chunk sizes in hex and with leading zeros",
    bytes: chunked(`0A\r\n0123456789\r\n00b\r\n0123456789a\r\n000\r\n\r\n`),
    expect: "served",
    body: "01234567890123456789a",
    why: 'RFC 9112 §7.1: chunk-size = 1*HEXDIG; last-chunk = 1*("0")'
  },
  {
    name: "chunk extensions",
    bytes: chunked('5;a;b=c;d="e f\\"" \t;g\r\nhello\r\n0;z\r\n\r\n'),
    expect: "served",
    body: "hello",
    why: "RFC 9112 §7.1.1: a recipient MUST ignore unrecognised extensions; they end here"
  },
  {
    name: "trailers",
    bytes: chunked("5\r\nhello\r\n0\r\nX-Sum: 1\r\nX-CD-Id: 2\r\nAuthorization: 3\r\n\r\n"),
    expect: "served",
    body: "hello",
    why: "RFC 9110 §6.5.1: fields of authentication, routing and ours don't pass",
    forwarded: ["X-Sum: 1"],
    absent: ["X-CD-Id", "Authorization"]
  },
  ...each(
    {
      "a chunk size with a prefix": "0x5\r\nhello\r\n0\r\n\r\n",
      "a chunk size with a sign": "+5\r\nhello\r\n0\r\n\r\n",
      "a negative chunk size": "-5\r\nhello\r\n0\r\n\r\n",
      "a chunk size with a space in front": " 5\r\nhello\r\n0\r\n\r\n",
      "a chunk size with a space behind": "5 \r\nhello\r\n0\r\n\r\n",
      "an empty chunk size": "\r\nhello\r\n0\r\n\r\n",
      "a chunk size that is none": "xyz\r\nhello\r\n0\r\n\r\n",
      "a chunk size with an underscore": "0_5\r\nhello\r\n0\r\n\r\n",
      "a chunk size that overflows 32 bits into 5": "100000000000000005\r\nhello\r\n0\r\n\r\n",
      "a chunk size of 14 digits": "00000000000005\r\nhello\r\n0\r\n\r\n",
      "a bare LF behind the size": "5\nhello\r\n0\r\n\r\n",
      "a bare CR behind the size": "5\rhello\r\n0\r\n\r\n",
      "a bare LF in an extension": "5;a\nb\r\nhello\r\n0\r\n\r\n",
      "a bare CR in an extension": "5;a\rb\r\nhello\r\n0\r\n\r\n",
      "a NUL in an extension": "5;a\0b\r\nhello\r\n0\r\n\r\n",
      "an extension without name": "5;\r\nhello\r\n0\r\n\r\n",
      "an extension with an open quotation": '5;a="b\r\nhello\r\n0\r\n\r\n',
      "an extension of 2,000 bytes": `5;${"a".repeat(2000)}\r\nhello\r\n0\r\n\r\n`,
      "a bare LF behind the data": "5\r\nhello\n0\r\n\r\n",
      "data longer than its size": "4\r\nhello\r\n0\r\n\r\n",
      "data shorter than its size": "6\r\nhello\r\n0\r\n\r\n",
      "a bare LF behind the last chunk": "5\r\nhello\r\n0\n\n",
      "a bare LF in the trailers": "5\r\nhello\r\n0\r\nX: a\n\r\n"
    },
    400,
    "RFC 9112 §7.1: chunk = chunk-size [ chunk-ext ] CRLF chunk-data CRLF; §2.2: a bare CR or LF is no line end; E1: an extension with CR, LF or NUL is refused",
    chunked
  ),
  ...each(
    {
      "Content-Length in the trailers": "Content-Length: 5",
      "Transfer-Encoding in the trailers": "Transfer-Encoding: chunked",
      "Host in the trailers": "Host: other.example.org",
      "a twin in the trailers": "Content_Length: 5",
      "a trailer with a space before the colon": "X : a",
      "a folded trailer": "X: a\r\n b",
      "a trailer without colon": "X"
    },
    400,
    "RFC 9110 §6.5.1: a sender MUST NOT generate such a trailer; merged into the head by the next reader it would be a smuggling",
    (line) => chunked(`5\r\nhello\r\n0\r\n${line}\r\n\r\n`)
  )
]
