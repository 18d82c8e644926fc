/** E11: https origins: verified by name and chain, each under its own policy, with its own name as SNI. What is right stands in `https.integration.test.ts`. */
import { webcrypto } from "node:crypto"
import { createServer, type Server } from "node:https"
import type { AddressInfo } from "node:net"
import { createSecureContext, createServer as createTlsServer, type TLSSocket } from "node:tls"
import * as x509 from "@peculiar/x509"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { makeAuthority, sendRaw, type TestAuthority, TestEdge } from "../testing/TestEdge.ts"

const day = 86_400_000
const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" }
const servers: Array<Server> = []
let edge: TestEdge
let authority: TestAuthority
/** What each handshake asked for, and whether it resumed. */
const seen: Array<{ readonly name: string | false | null | undefined; readonly reused: boolean }> = []

beforeAll(async () => {
  authority = await makeAuthority()
  const resolveOrigin = (_: string, done: (error: null, found: ReadonlyArray<{ address: string; family: number }>) => void) =>
    done(null, [{ address: "127.0.0.1", family: 4 }])
  edge = await TestEdge.start({ originCa: [authority.pem], resolveOrigin })
})

afterAll(async () => {
  await edge.stop()
  for (const server of servers) {
    server.closeAllConnections()
    server.close()
  }
})

interface Identity {
  readonly chain: string
  readonly key: string
}

const selfSigned = async (name: string, from: number, to: number): Promise<Identity> => {
  const keys = (await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"])) as CryptoKeyPair
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    ...{ name: `CN=${name}`, keys, signingAlgorithm: algorithm, serialNumber: "07" },
    ...{ notBefore: new Date(Date.now() + from), notAfter: new Date(Date.now() + to) },
    extensions: [new x509.SubjectAlternativeNameExtension([{ type: "dns", value: name }])]
  })
  const der = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", keys.privateKey)).toString("base64")
  return { chain: certificate.toString("pem"), key: `-----BEGIN PRIVATE KEY-----\n${der}\n-----END PRIVATE KEY-----\n` }
}

/** An origin that shows each name the identity for it, on one address. */
const startOrigin = async (identities: Readonly<Record<string, Identity>>, options: object = {}): Promise<number> => {
  const first = Object.values(identities)[0]!
  const server = createServer(
    {
      ...{ cert: first.chain, key: first.key, ...options },
      SNICallback: (name, done) => {
        const own = identities[name] ?? first
        done(null, createSecureContext({ cert: own.chain, key: own.key }))
      }
    },
    (request, response) => void response.setHeader("connection", "close").end(`for ${(request.socket as TLSSocket).servername}`)
  )
  server.on("secureConnection", (socket) => seen.push({ name: socket.servername, reused: socket.isSessionReused() }))
  server.on("tlsClientError", () => {})
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  return (server.address() as AddressInfo).port
}

const get = (host: string) => sendRaw(edge, host, `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)

describe("E11: origins over TLS", () => {
  it("E11: two origins of different names at one address: each is asked by its own name and verified for it, nothing resumes across", async () => {
    const [one, two] = ["one.origin.test", "two.origin.test"]
    const port = await startOrigin({ [one]: await authority.issue([one]), [two]: await authority.issue([two]) })
    await edge.add("a.example.org", `https://${one}:${port}`)
    await edge.add("b.example.org", `https://${two}:${port}`)
    await edge.add("c.example.org", `https://${two}:${port}`, { tenant_id: "tenant-2" })
    seen.length = 0
    for (const [host, name] of [
      ["a.example.org", one],
      ["b.example.org", two],
      ["c.example.org", two],
      ["a.example.org", one]
    ] as const) {
      expect(await get(host)).toMatch(new RegExp(`200 OK[\\s\\S]*for ${name}`))
    }
    expect(seen).toEqual([one, two, two, one].map((name) => ({ name, reused: false })))
  })

  it("E11: an origin that shows one name's certificate for another gets no request, also after it was right once", async () => {
    const [right, wrong] = ["right.origin.test", "wrong.origin.test"]
    const port = await startOrigin({ [right]: await authority.issue([right]) })
    await edge.add("right.example.org", `https://${right}:${port}`)
    await edge.add("wrong.example.org", `https://${wrong}:${port}`)
    for (let round = 0; round < 3; round++) {
      expect(await get("right.example.org")).toContain("200 OK")
      expect(await get("wrong.example.org")).toMatch(/^HTTP\/1\.1 502 /)
    }
  })

  it.each<readonly [string, (name: string) => Promise<Identity>, object]>([
    ["self-signed", (name) => selfSigned(name, -day, day), {}],
    ["expired", (name) => selfSigned(name, -2 * day, -day), {}],
    ["not yet valid", (name) => selfSigned(name, day, 2 * day), {}],
    ["of another CA", async (name) => (await makeAuthority()).issue([name]), {}],
    ["for a parent name", async () => authority.issue(["origin.test"]), {}],
    ["for a wildcard two labels up", async () => authority.issue(["*.test"]), {}],
    ["over TLS 1.1", (name) => authority.issue([name]), { maxVersion: "TLSv1.1", minVersion: "TLSv1", ciphers: "ALL:@SECLEVEL=0" }]
  ])("E11: %s is 502, and says no more to the client", async (what, identity, options) => {
    const name = `${what.replace(/[^a-z]/g, "")}.origin.test`
    const port = await startOrigin({ [name]: await identity(name) }, options)
    await edge.add("bad.example.org", `https://${name}:${port}`)
    const answer = await get("bad.example.org")
    expect(answer).toMatch(/^HTTP\/1\.1 502 /)
    expect(answer).not.toMatch(/certificate|self-signed|expired|origin\.test/i)
  })

  it("E11: a wildcard certificate is for one label", async () => {
    const port = await startOrigin({ "a.origin.test": await authority.issue(["*.origin.test"]) })
    await edge.add("w1.example.org", `https://a.origin.test:${port}`)
    await edge.add("w2.example.org", `https://a.b.origin.test:${port}`)
    expect(await get("w1.example.org")).toContain("200 OK")
    expect(await get("w2.example.org")).toMatch(/^HTTP\/1\.1 502 /)
  })

  it("E11: an origin by its address is verified for the address", async () => {
    const port = await startOrigin({ "x.origin.test": await authority.issue(["x.origin.test"]) })
    await edge.add("ip.example.org", `https://127.0.0.1:${port}`)
    expect(await get("ip.example.org")).toMatch(/^HTTP\/1\.1 502 /)
  })

  it("E11: where only the end of a TLS connection ends an answer, nobody can say that it is whole: it is served, and counted", async () => {
    const name = "ends.origin.test"
    const { chain, key } = await authority.issue([name])
    const answers: Record<string, string> = {
      "/until-close": "HTTP/1.1 200 OK\r\n\r\nas it came",
      "/length": "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwhole",
      "/short": "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nhalf"
    }
    const server = createTlsServer({ cert: chain, key }, (socket) => {
      socket.on("error", () => {}).once("data", (head) => socket.end(answers[/ (\S+)/.exec(String(head))![1]!]!))
    })
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
    await edge.add("ends.example.org", `https://${name}:${(server.address() as AddressInfo).port}`)
    const ends = async (path: string) => {
      const answer = await sendRaw(edge, "ends.example.org", `GET ${path} HTTP/1.1\r\nHost: ends.example.org\r\nConnection: close\r\n\r\n`)
      const count = edge.router.metrics.samples().find((sample) => sample.name === "edge_origin_unconfirmed_ends_total")
      return [answer.split("\r\n\r\n")[1], count?.value]
    }
    expect(await ends("/length")).toEqual(["whole", 0])
    expect(await ends("/until-close")).toEqual(["a\r\nas it came\r\n0", 1])
    expect(await ends("/short")).toEqual(["half", 1]) // shorter than its length: the client sees that by itself
    server.close()
  })
})
