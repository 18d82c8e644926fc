/** TLS-ALPN-01 over real TLS: who gets the challenge's certificate, and that nothing is served with it (RFC 8737, A14). */
import { X509Certificate } from "node:crypto"
import { connect as connectTls, type TLSSocket } from "node:tls"
import type { ChallengeEntry } from "@connect-domain/messages/buckets.ts"
import acme from "acme-client"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { hostnameEntry, sendRaw, TestEdge, testVault } from "../testing/TestEdge.ts"

let revision = 0

const challengeFor = async (hostname: string, token: string): Promise<ChallengeEntry> => {
  const key_authorization = `${token}.thumbprint`
  const keyPem = await acme.crypto.createPrivateEcdsaKey("P-256")
  const [, certificate] = await acme.crypto.createAlpnCertificate(
    { identifier: { type: "dns", value: hostname } } as never,
    key_authorization,
    keyPem
  )
  const place = { tenant: hostname, table: "challenges", column: "key", row: token }
  const sealed_key = testVault.seal(keyPem.toString(), place)
  return { token, hostname, key_authorization, type: "tls-alpn-01", certificate: certificate.toString(), sealed_key }
}

/** What the handshake gave: the protocol and the names of the certificate, or the alert. */
const handshake = (edge: TestEdge, servername: string, alpn: ReadonlyArray<string>) =>
  new Promise<{ readonly socket?: TLSSocket; readonly protocol?: string; readonly names?: string; readonly alert?: string }>((resolve) => {
    const socket = connectTls({
      ...{ host: "127.0.0.1", port: edge.https, servername, ALPNProtocols: [...alpn], rejectUnauthorized: false },
      checkServerIdentity: () => undefined
    })
    socket.once("secureConnect", () => {
      const names = new X509Certificate(socket.getPeerCertificate().raw).subjectAltName ?? ""
      resolve({ socket, protocol: socket.alpnProtocol || "", names })
    })
    socket.on("error", (error: NodeJS.ErrnoException) => resolve({ alert: error.code ?? error.message }))
  })

describe("TLS-ALPN-01", () => {
  let edge: TestEdge
  const ensured: Array<string> = []
  beforeAll(async () => {
    edge = await TestEdge.start({ ensure: ({ hostname }) => void ensured.push(hostname) })
  })
  afterAll(() => edge.stop())

  it("A14: answers a validating CA for a name that the registry does not know, and closes: nothing is served on that connection", async () => {
    const challenge = await challengeFor("new.example.org", "token-token-token-1")
    edge.registry.putChallenge(challenge, ++revision)
    const { socket, protocol, names } = await handshake(edge, "NEW.example.org", ["acme-tls/1"])
    expect({ protocol, names }).toEqual({ protocol: "acme-tls/1", names: "DNS:new.example.org" })
    expect(acme.crypto.isAlpnCertificateAuthorizationValid(challenge.certificate!, challenge.key_authorization)).toBe(true)
    let said = ""
    socket!.on("data", (bytes: Buffer) => (said += bytes.toString()))
    const closed = new Promise((resolve) => socket!.once("close", resolve))
    socket!.write("GET / HTTP/1.1\r\nHost: new.example.org\r\n\r\n")
    await closed
    expect(said).toBe("")
    expect(edge.router.listeners.handshakes.validation).toBe(1)
    // A visitor of the same name learns nothing, and neither does HTTP-01 of that token.
    expect((await handshake(edge, "new.example.org", ["h2", "http/1.1"])).alert).toBe("ERR_SSL_TLSV1_UNRECOGNIZED_NAME")
    const plain = await edge.connectPlain()
    const answer = new Promise<string>((resolve) => plain.once("data", (bytes: Buffer) => resolve(bytes.toString())))
    plain.write(`GET /.well-known/acme-challenge/${challenge.token} HTTP/1.1\r\nHost: new.example.org\r\n\r\n`)
    expect(await answer).toMatch(/^HTTP\/1\.1 404 /)
    plain.destroy()
  })

  it("disturbs no visitor of a name that is served, whatever else their protocol list holds", async () => {
    await edge.add("live.example.org", null)
    edge.registry.putChallenge(await challengeFor("live.example.org", "token-token-token-2"), ++revision)
    expect((await handshake(edge, "live.example.org", ["acme-tls/1"])).protocol).toBe("acme-tls/1")
    for (const list of [["h2", "http/1.1"], ["http/1.1", "acme-tls/1"], []]) {
      const seen = await handshake(edge, "live.example.org", list)
      expect(seen.protocol).not.toBe("acme-tls/1")
      seen.socket!.destroy()
    }
    expect(await sendRaw(edge, "live.example.org", "GET / HTTP/1.1\r\nHost: live.example.org\r\nConnection: close\r\n\r\n")).toMatch(
      /^HTTP\/1\.1 503/
    )
  })

  it("refuses without a pending challenge, at once and without asking for a certificate", async () => {
    edge.registry.putHostname(hostnameEntry("claimed.example.org"), ++revision)
    for (const name of ["claimed.example.org", "live2.example.org", "unknown.example.org"])
      expect((await handshake(edge, name, ["acme-tls/1"])).alert).toBe("ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL")
    expect(ensured).toEqual([])
    edge.registry.deleteChallenge("token-token-token-2", ++revision)
    expect((await handshake(edge, "live.example.org", ["acme-tls/1"])).alert).toBe("ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL")
  })

  it("A13: keeps nothing of a challenge that is over, though another one has its token", async () => {
    const certificates = new Set<string>()
    const validate = async (challenge: ChallengeEntry) => {
      edge.registry.putChallenge(challenge, ++revision)
      const { socket } = await handshake(edge, "again.example.org", ["acme-tls/1"])
      certificates.add(new X509Certificate(socket!.getPeerCertificate().raw).fingerprint256)
    }
    const [first, second, third] = await Promise.all([1, 2, 3].map(() => challengeFor("again.example.org", "token-token-token-4")))
    await validate(first!)
    await validate(second!)
    edge.registry.deleteChallenge(second!.token, ++revision)
    await validate(third!)
    edge.registry.deleteChallenge(third!.token, ++revision)
    expect(certificates.size).toBe(3)
  })

  it("a key sealed for another place, or no certificate at all: refused and counted, nothing breaks", async () => {
    const good = await challengeFor("broken.example.org", "token-token-token-3")
    edge.registry.putChallenge({ ...good, sealed_key: testVault.seal("x", { tenant: "a", table: "b", column: "c", row: "d" }) }, ++revision)
    expect((await handshake(edge, "broken.example.org", ["acme-tls/1"])).alert).toBe("ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL")
    edge.registry.putChallenge({ token: good.token, hostname: good.hostname, key_authorization: "x", type: "tls-alpn-01" }, ++revision)
    expect((await handshake(edge, "broken.example.org", ["acme-tls/1"])).alert).toBe("ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL")
  })
})
