/** E5: SNI, Host and tenant, request by request, over every way that they can come apart. */
import { mkdtemp, rm } from "node:fs/promises"
import { type ClientHttp2Session, connect as connectHttp2 } from "node:http2"
import { connect as connectTcp } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { connect as connectTls } from "node:tls"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { ok, RawOrigin } from "../testing/RawOrigin.ts"
import { readAll, sendRaw, TestEdge } from "../testing/TestEdge.ts"
import { runProgram } from "./runProgram.ts"

let edge: TestEdge
let folder: string
const origins: Array<RawOrigin> = []
const request = (host: string) => `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`
const statusOf = (answer: string) => Number(/HTTP\/1\.1 ([0-9]{3})/.exec(answer)?.[1] ?? 0)

/** Name → tenant. The certificate of `shop` covers the first four. */
const tenants: Readonly<Record<string, string>> = {
  "shop.example.org": "tenant-1",
  "www.example.org": "tenant-1",
  "alias.example.org": "tenant-2",
  "released.example.org": "tenant-1",
  "own.example.org": "tenant-1",
  "other.example.org": "tenant-2",
  "a.wild.example.org": "tenant-1",
  "exact.wild.example.org": "tenant-2"
}
const covered = ["shop.example.org", "www.example.org", "alias.example.org", "released.example.org"]

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "edge-sni-"))
  edge = await TestEdge.start()
  const origin = async (tenant: string) => {
    const one = await RawOrigin.answering(ok(tenant))
    origins.push(one)
    return one.url
  }
  const urls = { "tenant-1": await origin("tenant-1"), "tenant-2": await origin("tenant-2") }
  for (const [name, tenant_id] of Object.entries(tenants)) {
    if (name === "a.wild.example.org") continue
    await edge.add(name, urls[tenant_id as "tenant-1"], { tenant_id }, name === "shop.example.org" ? covered : [])
  }
  await edge.add("*.wild.example.org", urls["tenant-1"])
  const released = edge.registry.find("released.example.org")!
  edge.registry.putHostname({ ...released, status: "released", version: released.version + 1 }, 100_000)
})

afterAll(async () => {
  await edge.stop()
  for (const origin of origins) await origin.stop()
  await rm(folder, { recursive: true, force: true })
})

/** What must happen by the rule alone: same tenant, and a name that the connection's certificate covers. */
const wanted = (sni: string, host: string): number => {
  if (host === "released.example.org" || tenants[host] === undefined) return 421
  if (sni === host) return 200
  const names = sni === "shop.example.org" ? covered : sni === "a.wild.example.org" ? [sni] : [sni]
  return names.includes(host) && tenants[sni] === tenants[host] ? 200 : 421
}
const snis = Object.keys(tenants).filter((name) => name !== "released.example.org")
const hosts = [...Object.keys(tenants), "unknown.example.org"]

describe("E5: SNI and Host", () => {
  it("E5: every pair over HTTP/1.1 is served or 421, and the answer is the Host's tenant's", async () => {
    for (const sni of snis) {
      for (const host of hosts) {
        const answer = await sendRaw(edge, sni, request(host))
        expect(statusOf(answer), `${sni} → ${host}`).toBe(wanted(sni, host))
        if (wanted(sni, host) === 200) expect(answer.endsWith(tenants[host]!)).toBe(true)
      }
    }
  })

  it("E5: every pair over one coalesced HTTP/2 connection, interleaved; a 421 does not spoil the others", async () => {
    for (const sni of snis) {
      const session = connectHttp2(`https://127.0.0.1:${edge.https}`, { servername: sni, ca: edge.authority.pem })
      const answers = await Promise.all([...hosts, ...hosts].map((host) => askHttp2(session, host)))
      session.close()
      for (const { host, status, body } of answers) {
        expect(status, `${sni} → ${host}`).toBe(wanted(sni, host))
        if (status === 200) expect(body).toBe(tenants[host])
      }
    }
  })

  it.each([
    ["upper case", "SHOP.EXAMPLE.ORG", 200],
    ["a trailing dot", "shop.example.org.", 200],
    ["two dots", "shop.example.org..", 0],
    ["an unknown name", "unknown.example.org", 0],
    ["a released name", "released.example.org", 0],
    ["a wildcard as a name", "*.wild.example.org", 0],
    ["an address", "127.0.0.1", 0],
    ["a name with a NUL-like escape", "shop.example.org%00.evil", 0]
  ])("E5: SNI with %s, from openssl", async (_, servername, status) => {
    const about = ["-connect", `127.0.0.1:${edge.https}`, "-servername", servername, "-ign_eof"]
    const { output } = await runProgram("openssl", ["s_client", ...about], { input: request("shop.example.org") })
    expect(statusOf(output)).toBe(status)
    if (status === 0) expect(output).toContain("alert")
  })

  it("E5: no SNI: no handshake", async () => {
    const { output } = await runProgram("openssl", ["s_client", "-connect", `127.0.0.1:${edge.https}`, "-noservername", "-ign_eof"], {
      input: request("shop.example.org")
    })
    expect(statusOf(output)).toBe(0)
    expect(output).toContain("alert")
  })

  it.each(["-tls1_2", "-tls1_3"])("E5: a %s session of one name gives another name no rights", async (version) => {
    const about = (sni: string) => ["s_client", "-connect", `127.0.0.1:${edge.https}`, "-servername", sni, version, "-ign_eof"]
    for (const [from, to, host] of [
      ["shop.example.org", "shop.example.org", "shop.example.org"],
      ["shop.example.org", "other.example.org", "shop.example.org"],
      ["shop.example.org", "other.example.org", "other.example.org"],
      ["shop.example.org", "alias.example.org", "shop.example.org"],
      ["other.example.org", "shop.example.org", "other.example.org"]
    ] as const) {
      const file = join(folder, "session")
      expect(statusOf((await runProgram("openssl", [...about(from), "-sess_out", file], { input: request(from) })).output)).toBe(200)
      const { output } = await runProgram("openssl", [...about(to), "-sess_in", file], { input: request(host) })
      expect(output.includes("\nReused,"), `${from} → ${to}`).toBe(from === to)
      expect(statusOf(output), `${from} → ${to}, Host ${host}`).toBe(wanted(to, host))
    }
    // A session, and no SNI at all.
    const { output } = await runProgram(
      "openssl",
      ["s_client", "-connect", `127.0.0.1:${edge.https}`, "-noservername", version, "-ign_eof", "-sess_in", join(folder, "session")],
      { input: request("other.example.org") }
    )
    expect(statusOf(output)).toBe(0)
  })

  it.each([
    ["three segments", 1, 3],
    ["three records in one segment", 3, 1],
    ["three records in nine segments", 3, 9],
    ["a segment for every byte", 1, 2000]
  ])("E5: a ClientHello in %s", async (_, records, segments) => {
    const answer = await withSplitHello(edge.https, edge.authority.pem, records, segments)
    expect(statusOf(answer)).toBe(200)
  })
})

const askHttp2 = (session: ClientHttp2Session, host: string) =>
  new Promise<{ host: string; status: number; body: string }>((resolve, reject) => {
    const stream = session.request({ ":path": "/", ":authority": host })
    let [status, body] = [0, ""]
    stream.on("response", (fields) => {
      status = Number(fields[":status"])
    })
    stream.on("data", (piece) => {
      body += piece
    })
    stream.on("error", reject)
    stream.on("close", () => resolve({ host, status, body }))
  })

/** The first flight of node:tls, cut into TLS records and TCP segments. */
const withSplitHello = (port: number, ca: string, records: number, segments: number): Promise<string> => {
  const raw = connectTcp(port, "127.0.0.1").setNoDelay(true)
  const write = raw.write.bind(raw)
  let first = true
  raw.write = ((data: Uint8Array, ...rest: ReadonlyArray<unknown>) => {
    const done = rest.at(-1)
    const finish = () => void (typeof done === "function" && done())
    if (!first) {
      write(data)
      finish()
      return true
    }
    first = false
    const payload = Buffer.from(data).subarray(5)
    const each = Math.ceil(payload.length / records)
    const pieces = Array.from({ length: records }, (_, at) => payload.subarray(at * each, (at + 1) * each))
    const bytes = Buffer.concat(pieces.flatMap((piece) => [Buffer.from([22, 3, 1, piece.length >> 8, piece.length & 255]), piece]))
    const size = Math.max(1, Math.ceil(bytes.length / segments))
    const send = (at: number): void => {
      write(bytes.subarray(at, at + size))
      if (at + size >= bytes.length) finish()
      else setImmediate(() => send(at + size))
    }
    send(0)
    return true
  }) as typeof raw.write
  const socket = connectTls({ socket: raw, servername: "shop.example.org", ca })
  const answer = readAll(socket)
  socket.write(request("shop.example.org"))
  return answer
}
