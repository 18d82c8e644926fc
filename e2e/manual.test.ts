/** Story 1: the customer adds two records, nobody calls anything, and the hostname is live over HTTPS. */
import { neededRecords } from "@connect-domain/sandbox/SandboxApi.ts"
import { describe, expect, it } from "vitest"
import { addRecords, createManual, eventsOf, newHostname, state, untilState } from "./Stack.ts"
import { echoOf, visit, visitPlain } from "./Visitor.ts"

describe("a hostname is connected by hand", () => {
  it("walks from POST to live HTTPS by itself", async () => {
    const hostname = newHostname()
    const connection = await createManual(hostname)
    expect(connection.state).toBe("pending_ownership")
    expect(connection.ownership_challenge).toMatchObject({ name: `_customdomain-challenge.${hostname}`, type: "TXT" })
    expect(connection.ownership_challenge.value).toMatch(/^cd-verify-[a-z2-7]{32}$/)
    expect(neededRecords(connection)).toEqual([
      expect.objectContaining({ host: hostname, type: "CNAME", value: "edge.connect.test", ttl: 300 })
    ])

    await addRecords(connection)
    const live = await untilState(connection.id, "live")
    expect(live.certificate).toMatchObject({ status: "issued", serial: expect.stringMatching(/^[0-9a-f]+$/) })
    expect((await eventsOf(connection.id)).map((event) => event.type)).toEqual(["domain.verified", "ssl.issued", "domain.flow.completed"])

    const answer = await visit(hostname, {
      path: "/some/path?and=query",
      headers: { "x-forwarded-for": "203.0.113.9", "x-forwarded-proto": "ftp", forwarded: "for=203.0.113.9", "x-cd-connection": "forged" }
    })
    expect(answer.status).toBe(200)
    expect(answer.issuer).toMatch(/^Pebble/)
    expect(answer.serial).toBe(live.certificate && (live.certificate as unknown as { serial: string }).serial)
    const { headers, url } = echoOf(answer)
    expect(url).toBe("/some/path?and=query")
    expect(headers).toMatchObject({
      host: hostname,
      "x-forwarded-for": "127.0.0.1",
      "x-forwarded-proto": "https",
      "x-forwarded-host": hostname
    })
    expect(headers.forwarded).not.toContain("203.0.113.9")
    expect(headers["x-cd-connection"]).toBe(connection.id)
  })

  it("carries a body both ways and redirects plain HTTP", async () => {
    const hostname = newHostname()
    const connection = await createManual(hostname)
    await addRecords(connection)
    await untilState(connection.id, "live")
    const posted = await visit(hostname, { method: "POST", path: "/form", body: "x".repeat(200_000) })
    expect([posted.status, echoOf(posted).method]).toEqual([200, "POST"])

    const redirect = await visitPlain(hostname, "/some/path?q=1")
    expect(redirect.status).toBe(308)
    const port = new URL(state().edge_https).port
    expect(redirect.headers.location).toBe(`https://${hostname}:${port}/some/path?q=1`)
    expect((await visitPlain(hostname, "/.well-known/acme-challenge/unknown")).status).toBe(404)
  })

  it("serves an apex, whose records are addresses", async () => {
    const apex = newHostname().split(".").slice(1).join(".")
    const connection = await createManual(apex)
    expect(neededRecords(connection)).toEqual([expect.objectContaining({ host: apex, type: "A", value: "127.0.0.1" })])
    await addRecords(connection)
    await untilState(connection.id, "live")
    expect((await visit(apex)).status).toBe(200)
  })

  it("refuses names that nobody claimed, and a Host that is not the certificate's", async () => {
    await expect(visit(newHostname())).rejects.toThrow()
    const [one, two] = await Promise.all(
      [newHostname(), newHostname()].map(async (hostname) => {
        const connection = await createManual(hostname)
        await addRecords(connection)
        await untilState(connection.id, "live")
        return hostname
      })
    )
    expect((await visit(two!, { servername: one! })).status).toBe(421)
  })
})
