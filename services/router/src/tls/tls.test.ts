/** ClientHello and PROXY headers, from real and from hostile senders. */
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { readProxyHeader } from "./proxyProtocol.ts"
import { helloWants, readClientHello } from "./readClientHello.ts"

const u16 = (value: number) => Buffer.from([value >> 8, value & 255])
const withLength = (bytes: Buffer) => Buffer.concat([u16(bytes.length), bytes])
const extension = (type: number, data: Buffer) => Buffer.concat([u16(type), withLength(data)])
const serverName = (name: string) => extension(0, withLength(Buffer.concat([Buffer.from([0]), withLength(Buffer.from(name, "latin1"))])))
const alpn = (...names: ReadonlyArray<string>) =>
  extension(16, withLength(Buffer.concat(names.map((name) => Buffer.concat([Buffer.from([name.length]), Buffer.from(name)])))))

const hello = (...extensions: ReadonlyArray<Buffer>): Buffer => {
  const body = Buffer.concat([
    Buffer.from([3, 3]),
    Buffer.alloc(32, 7),
    Buffer.from([0]),
    withLength(u16(0x1301)),
    Buffer.from([1, 0]),
    withLength(Buffer.concat(extensions))
  ])
  return Buffer.concat([Buffer.from([1, 0]), withLength(body)])
}
const record = (bytes: Buffer) => Buffer.concat([Buffer.from([22, 3, 1]), withLength(bytes)])

describe("E5: ClientHello", () => {
  const whole = hello(extension(10, Buffer.alloc(1500)), serverName("Shop.example.org"), alpn("h2", "http/1.1"))
  const wanted = { serverName: "Shop.example.org", protocols: Buffer.from("\x02h2\x08http/1.1"), ticket: "" }

  it("finds name and protocols, also over several records and in pieces of any size", () => {
    expect(readClientHello(record(whole))).toEqual(wanted)
    const split = Buffer.concat([record(whole.subarray(0, 3)), record(whole.subarray(3, 700)), record(whole.subarray(700))])
    expect(readClientHello(split)).toEqual(wanted)
    for (const bytes of [record(whole), split])
      for (let at = 0; at < bytes.length; at += 13) expect(readClientHello(bytes.subarray(0, at))).toBe("more")
  })

  it("E8: is looked at once for each record, not for each byte that comes", () => {
    const split = Buffer.concat([record(whole.subarray(0, 3)), record(whole.subarray(3, 700)), record(whole.subarray(700))])
    let [looks, wants] = [0, 5]
    for (let at = 1; at <= split.length; at++) {
      if (at < wants) continue
      looks++
      const found = readClientHello(split.subarray(0, at))
      expect(found).toEqual(at === split.length ? wanted : "more")
      wants = helloWants(split.subarray(0, at))
    }
    expect(looks).toBe(6)
  })

  it("has no name where none was sent", () => {
    const nothing = { serverName: "", protocols: Buffer.alloc(0), ticket: "" }
    expect(readClientHello(record(hello()))).toEqual(nothing)
    expect(readClientHello(record(hello(extension(0, Buffer.alloc(2)))))).toEqual(nothing)
  })

  it.each([
    ["HTTP", Buffer.from("GET / HTTP/1.1\r\n\r\n")],
    ["SSL 2", Buffer.from([0x80, 0x2e, 1, 3, 1])],
    ["an alert", Buffer.from([21, 3, 3, 0, 2, 1, 0])],
    ["another handshake message", record(Buffer.from([2, 0, 0, 1, 0]))],
    ["an empty record", Buffer.from([22, 3, 1, 0, 0])],
    ["a hello of a megabyte", record(Buffer.from([1, 16, 0, 0]))],
    ["an extension that runs over the end", record(hello(Buffer.from([0, 0, 255, 255])))]
  ])("refuses %s", (_, bytes) => {
    expect(readClientHello(bytes)).toBe("not-tls")
  })

  it("E17: survives any bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => void readClientHello(Buffer.concat([Buffer.from([22, 3, 1]), bytes]))),
      { numRuns: 2000 }
    )
    fc.assert(
      fc.property(fc.nat(whole.length - 1), fc.nat(255), (at, value) => {
        const changed = Buffer.from(whole)
        changed[at] = value
        readClientHello(record(changed))
      }),
      { numRuns: 2000 }
    )
  })
})

describe("E7: PROXY protocol", () => {
  const binary = (command: number, family: number, data: Buffer) =>
    Buffer.concat([Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1"), Buffer.from([0x20 | command, family]), withLength(data)])
  const four = Buffer.from([192, 0, 2, 1, 192, 0, 2, 2, 1, 2, 3, 4])
  const from = (hex: string) => Buffer.concat([Buffer.from(hex, "hex"), Buffer.alloc(20)])
  const six = from("20010db8000000000000000000000001")

  it.each([
    ["version 1, TCP4", Buffer.from("PROXY TCP4 192.0.2.1 192.0.2.2 5000 443\r\n"), "192.0.2.1"],
    ["version 1, TCP6", Buffer.from("PROXY TCP6 2001:db8::1 2001:db8::2 5000 443\r\n"), "2001:db8::1"],
    ["version 1, TCP6 in another spelling", Buffer.from("PROXY TCP6 2001:DB8:0:0:1:0:0:1 ::1 5000 443\r\n"), "2001:db8::1:0:0:1"],
    ["version 1, IPv4 mapped", Buffer.from("PROXY TCP6 ::ffff:192.0.2.1 ::ffff:192.0.2.2 5000 443\r\n"), "192.0.2.1"],
    ["version 1, IPv4 mapped in hexadecimal", Buffer.from("PROXY TCP6 0:0:0:0:0:FFFF:C000:201 ::1 5000 443\r\n"), "192.0.2.1"],
    ["version 2, IPv4 mapped", binary(1, 0x21, from("00000000000000000000ffffc0000201")), "192.0.2.1"],
    ["version 2, the longest run of zeros", binary(1, 0x21, from("20010000000000010000000000000001")), "2001:0:0:1::1"],
    ["version 1, UNKNOWN", Buffer.from("PROXY UNKNOWN anything\r\n"), ""],
    ["version 2, TCP4", binary(1, 0x11, four), "192.0.2.1"],
    ["version 2, TCP4 with TLVs", binary(1, 0x11, Buffer.concat([four, Buffer.alloc(50)])), "192.0.2.1"],
    ["version 2, TCP6", binary(1, 0x21, six), "2001:db8::1"],
    ["version 2, LOCAL", binary(0, 0, Buffer.alloc(0)), ""]
  ])("reads %s, whole and in pieces", (_, bytes, address) => {
    expect(readProxyHeader(Buffer.concat([bytes, Buffer.from("rest")]))).toEqual({ address, length: bytes.length })
    for (let at = 0; at < bytes.length; at++) expect(readProxyHeader(bytes.subarray(0, at))).toBe("more")
  })

  it.each<readonly [string, Buffer]>([
    ["TLS", Buffer.from([22, 3, 1])],
    ["a bad address", Buffer.from("PROXY TCP4 192.0.2.256 192.0.2.2 5000 443\r\n")],
    ["a name for an address", Buffer.from("PROXY TCP4 example.org 192.0.2.2 5000 443\r\n")],
    ["an IPv6 address as TCP4", Buffer.from("PROXY TCP4 2001:db8::1 192.0.2.2 5000 443\r\n")],
    ...[":::::", "1::2::3", "fffff::1", "1:2:3:4:5:6:7:8:9", "::ffff:192.0.2.256", "192.0.2.1", `::${"1".repeat(40)}`].flatMap((wrong) => [
      [`the source ${wrong}`, Buffer.from(`PROXY TCP6 ${wrong} ::1 5000 443\r\n`)] as const,
      [`the target ${wrong}`, Buffer.from(`PROXY TCP6 ::1 ${wrong} 5000 443\r\n`)] as const
    ]),
    ["a port of 65536", Buffer.from("PROXY TCP4 192.0.2.1 192.0.2.2 65536 443\r\n")],
    ["a line of 108 bytes", Buffer.from(`PROXY UNKNOWN ${"x".repeat(200)}\r\n`)],
    ["a bare LF", Buffer.from(`PROXY TCP4 192.0.2.1 192.0.2.2 5000 443\n${"x".repeat(100)}`)],
    ["version 3", Buffer.concat([Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1"), Buffer.from([0x31, 0x11, 0, 12]), four])],
    ["UDP", binary(1, 0x12, four)],
    ["addresses that are too short", binary(1, 0x11, Buffer.alloc(4))],
    ["five kilobytes", binary(1, 0x11, Buffer.alloc(5000))]
  ])("refuses %s", (_, bytes) => {
    expect(readProxyHeader(bytes)).toBe("bad")
  })
})
