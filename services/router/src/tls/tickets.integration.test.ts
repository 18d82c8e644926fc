/** Session tickets beside a client that is not Node: `openssl s_client`, over two edges and two rotations. */
import { spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { connect } from "node:tls"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { TestEdge, testRing } from "../testing/TestEdge.ts"
import { ticketKeysAt, ticketPeriodMillis } from "./ticketKeys.ts"

const host = "shop.example.org"
const start = 1_800_000_000_000
let folder: string
let edges: ReadonlyArray<TestEdge>

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "tickets-"))
  edges = [await TestEdge.start(), await TestEdge.start()]
  for (const edge of edges) await edge.add(host, null, { claim_id: "claim-shop" })
})
afterEach(async () => {
  for (const edge of edges) await edge.stop()
  rmSync(folder, { recursive: true })
})

/** Periods after the start. */
const rotate = (edge: TestEdge, periods: number) =>
  edge.router.contexts.rotate(ticketKeysAt(testRing, start + periods * ticketPeriodMillis))

interface Visit {
  readonly version: "-tls1_3" | "-tls1_2"
  /** File of the session that is brought; undefined: none. */
  readonly bring?: string
  /** Where the session that is given is kept. */
  readonly keep: string
}

/** Whether the session was resumed. One request is made, since a ticket of TLS 1.3 comes behind the handshake. */
const visit = (edge: TestEdge, { bring, keep, version }: Visit): Promise<boolean> =>
  new Promise((resolve, reject) => {
    const session = bring === undefined ? [] : ["-sess_in", join(folder, bring)]
    const client = spawn("openssl", [
      ...["s_client", "-connect", `127.0.0.1:${edge.https}`, "-servername", host, version, "-sess_out", join(folder, keep)],
      ...["-ign_eof", ...session]
    ])
    let said = ""
    client.stdout.on("data", (piece) => {
      said += piece
    })
    client.on("error", reject)
    client.on("close", () => {
      if (!/^(New|Reused), TLS/m.test(said)) reject(new Error(said))
      else resolve(/^Reused, TLS/m.test(said))
    })
    client.stdin.write(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
  })

describe.each(["-tls1_3", "-tls1_2"] as const)("E13: session tickets, %s", (version) => {
  it("resume on every edge, are accepted for one more rotation, and no longer after the second", async () => {
    const [one, two] = edges as [TestEdge, TestEdge]
    for (const edge of edges) rotate(edge, 0)
    expect(await visit(one, { version, keep: "first" })).toBe(false)
    expect(await visit(two, { version, bring: "first", keep: "other" })).toBe(true)
    rotate(two, 1)
    expect(await visit(two, { version, bring: "first", keep: "after" })).toBe(true)
    // An edge that has turned over and one that has not yet: each knows the other's tickets.
    // The context with the new keys is made behind the first handshake after the rotation.
    expect(await visit(two, { version, keep: "newer" })).toBe(false)
    expect(await visit(two, { version, keep: "newer" })).toBe(false)
    expect(await visit(one, { version, bring: "newer", keep: "back" })).toBe(true)
    rotate(one, 1)
    expect(await visit(one, { version, bring: "first", keep: "late" })).toBe(true)
    for (const edge of edges) rotate(edge, 2)
    expect(await visit(one, { version, bring: "first", keep: "gone" })).toBe(false)
    expect(await visit(two, { version, bring: "newer", keep: "still" })).toBe(true)
  })

  it("resume on every connection of a client that keeps a single ticket", async () => {
    const [edge] = edges as [TestEdge, TestEdge]
    rotate(edge, 0)
    await visit(edge, { version, keep: "only" })
    const resumed: Array<boolean> = []
    for (let at = 0; at < 4; at++) resumed.push(await visit(edge, { version, bring: "only", keep: "thrown-away" }))
    expect(resumed).toEqual([true, true, true, true])
  })
})

describe("E13: session tickets, a client that takes each new ticket", () => {
  it.each(["TLSv1.3", "TLSv1.2"] as const)("resumes every time over %s", async (maxVersion) => {
    const [edge] = edges as [TestEdge, TestEdge]
    rotate(edge, 0)
    let session: Buffer | undefined
    const resumed: Array<boolean> = []
    for (let at = 0; at < 5; at++) {
      await new Promise<void>((resolve, reject) => {
        const kept = session === undefined ? {} : { session }
        const socket = connect({ host: "127.0.0.1", port: edge.https, servername: host, ca: [edge.authority.pem], maxVersion, ...kept })
        socket.on("session", (ticket: Buffer) => {
          session = ticket
        })
        socket.once("secureConnect", () => {
          resumed.push(socket.isSessionReused())
          socket.end(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
        })
        socket
          .once("error", reject)
          .once("close", () => resolve())
          .resume()
      })
    }
    expect(resumed).toEqual([false, true, true, true, true])
  })
})
