/** Several messages behind each other on a connection, and what asks for an answer before its body. */
import { get, host, message, post, type RawCase } from "./RawCase.ts"

const line = (text: string, ...fields: ReadonlyArray<string>) => message(text, `Host: ${host}`, ...fields)
const chunked = (body: string) => `${line("POST /chunked HTTP/1.1", "Transfer-Encoding: chunked")}${body}`
const inOrder = "RFC 9112 §9.3.2: pipelined requests are answered in their order; §6.3: each ends where its framing says"
const hidden = "0\r\n\r\nGET /hidden HTTP/1.1\r\n\r\n"
const sized = (target: string, body: string) => `${line(`POST ${target} HTTP/1.1`, `Content-Length: ${body.length}`)}${body}`

export const pipelines: ReadonlyArray<RawCase> = [
  {
    name: "three requests at once",
    bytes: `${line("GET /1 HTTP/1.1")}${sized("/2", "hello")}${line("GET /3 HTTP/1.1")}`,
    expect: "served",
    why: inOrder,
    requests: [
      ["GET", "/1", ""],
      ["POST", "/2", "hello"],
      ["GET", "/3", ""]
    ]
  },
  {
    name: "a request behind chunks",
    bytes: `${chunked("5\r\nhello\r\n0\r\n\r\n")}${line("GET /2 HTTP/1.1")}`,
    expect: "served",
    why: inOrder,
    requests: [
      ["POST", "/chunked", "hello"],
      ["GET", "/2", ""]
    ]
  },
  {
    name: "an empty line between two requests",
    bytes: `${sized("/1", "hello")}\r\n${line("GET /2 HTTP/1.1")}`,
    expect: "served",
    why: "RFC 9112 §2.2: a server SHOULD ignore an empty line before the request-line; old clients sent one behind a body",
    requests: [
      ["POST", "/1", "hello"],
      ["GET", "/2", ""]
    ]
  },
  {
    name: "bodies that look like ends and requests",
    bytes: `${sized("/1", hidden)}${chunked(`${hidden.length.toString(16)}\r\n${hidden}\r\n0\r\n\r\n`)}`,
    expect: "served",
    why: "RFC 9112 §6.3: within a body nothing is read but its length",
    requests: [
      ["POST", "/1", hidden],
      ["POST", "/chunked", hidden]
    ]
  },
  {
    name: "a body longer than its Content-Length",
    bytes: `${line("POST /1 HTTP/1.1", "Content-Length: 2")}hello\r\n\r\n`,
    expect: "served",
    why: "RFC 9112 §6.3: what is left over is the next message, here none (§3)",
    requests: [["POST", "/1", "he"]],
    refusedBehind: 400
  },
  {
    name: "a refused request behind a served one",
    bytes: `${line("GET /1 HTTP/1.1")}${sized("/2", "hello").replace("Length", "Length ")}`,
    expect: "served",
    why: "RFC 9112 §5.1: white space before a colon is answered 400; §9.6: the connection closes, whatever came behind is not read",
    requests: [["GET", "/1", ""]],
    refusedBehind: 400
  },
  {
    name: "a request behind one that closes the connection",
    bytes: `${line("GET /1 HTTP/1.1", "Connection: close")}${line("GET /smuggled HTTP/1.1")}`,
    expect: "served",
    why: "RFC 9112 §9.6: a server that receives close MUST NOT process further requests on that connection",
    requests: [["GET", "/1", ""]]
  },
  {
    name: "Expect: 100-continue with a body",
    bytes: post("hello", "Expect: 100-continue", "Content-Length: 5"),
    expect: "served",
    body: "hello",
    why: "RFC 9110 §10.1.1: a proxy forwards the expectation; 100 may be left out when the content has come already"
  },
  {
    name: "Expect: 100-CONTINUE with chunks",
    bytes: post("5\r\nhello\r\n0\r\n\r\n", "Expect: 100-CONTINUE", "Transfer-Encoding: chunked"),
    expect: "served",
    body: "hello",
    why: "RFC 9110 §10.1.1: the value is case-insensitive"
  },
  {
    name: "Expect: 100-continue without a body",
    bytes: get("Expect: 100-continue"),
    expect: "served",
    body: "",
    why: "RFC 9110 §10.1.1: a client MUST NOT send it with a request without content, so neither does the edge",
    absent: ["Expect"]
  },
  {
    name: "Expect: 100-continue in HTTP/1.0",
    bytes: `${message("POST / HTTP/1.0", `Host: ${host}`, "Expect: 100-continue", "Content-Length: 5")}hello`,
    expect: "served",
    body: "hello",
    why: "RFC 9110 §10.1.1: a server that receives it in an HTTP/1.0 request MUST ignore it",
    absent: ["Expect"]
  }
]
