/**
 * A whole edge for tests: real TLS, real sockets, a registry filled by hand.
 *
 * Owns: certificates of a test CA, a router on free ports, raw clients. Leaves to the tests: origins, and what is sent.
 */
import { webcrypto } from "node:crypto"
import { connect as connectTcp, type Socket } from "node:net"
import { connect as connectTls, type TLSSocket } from "node:tls"
import { makeAddressPolicy, parseNetwork } from "@connect-domain/egress/AddressPolicy.ts"
import type { CertificateEntry, HostnameEntry } from "@connect-domain/messages/buckets.ts"
import { makeVault } from "@connect-domain/secrets/Vault.ts"
import * as x509 from "@peculiar/x509"
import { Router, type RouterOptions } from "../Router.ts"
import { Registry } from "../registry/Registry.ts"

x509.cryptoProvider.set(webcrypto as unknown as Crypto)

export const testRing = { first: "t", keys: new Map([["t", new Uint8Array(32).map((_, at) => (at * 37 + 11) & 255)]]) }
export const testVault = makeVault(testRing)

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" }
const day = 86_400_000

/** A PEM certificate for `names` signed by the CA of `authority`, with its key. */
export interface TestAuthority {
  readonly pem: string
  readonly issue: (names: ReadonlyArray<string>) => Promise<{ readonly chain: string; readonly key: string }>
}

export const makeAuthority = async (): Promise<TestAuthority> => {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"])
  const validity = { notBefore: new Date(Date.now() - day), notAfter: new Date(Date.now() + 30 * day) }
  const root = await x509.X509CertificateGenerator.createSelfSigned({
    ...{ name: "CN=Test Root", keys: keys as CryptoKeyPair, signingAlgorithm: algorithm, serialNumber: "01", ...validity },
    extensions: [new x509.BasicConstraintsExtension(true, undefined, true)]
  })
  let serial = 2
  const issue = async (names: ReadonlyArray<string>) => {
    const own = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"])
    const certificate = await x509.X509CertificateGenerator.create({
      ...{
        subject: `CN=${names[0]!.slice(0, 60)}`,
        issuer: root.subject,
        publicKey: own.publicKey as CryptoKey,
        signingKey: keys.privateKey as CryptoKey
      },
      ...{ signingAlgorithm: algorithm, serialNumber: (++serial).toString(16).padStart(4, "0"), ...validity },
      extensions: [new x509.SubjectAlternativeNameExtension(names.map((value) => ({ type: "dns" as const, value })))]
    })
    const der = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", own.privateKey)).toString("base64")
    return {
      chain: certificate.toString("pem"),
      key: `-----BEGIN PRIVATE KEY-----\n${der.replace(/(.{64})/g, "$1\n")}\n-----END PRIVATE KEY-----\n`
    }
  }
  return { pem: root.toString("pem"), issue }
}

let version = 0

export const hostnameEntry = (hostname: string, fields: Partial<HostnameEntry> = {}): HostnameEntry => ({
  ...{ hostname, status: "held", connection_id: `connection-${hostname}`, tenant_id: "tenant-1", application_id: "app-1" },
  ...{ claim_id: `claim-${hostname}`, environment: "test", origin: null, certificate_id: null, flags: {}, version: ++version },
  ...fields
})

export const certificateEntry = async (
  authority: TestAuthority,
  names: ReadonlyArray<string>,
  fields: { readonly certificate_id: string; readonly claim_id: string }
): Promise<CertificateEntry> => {
  const { chain, key } = await authority.issue(names)
  const place = { tenant: fields.claim_id, table: "certificates", column: "key", row: fields.certificate_id }
  const [not_before, not_after] = [new Date(Date.now() - day).toISOString(), new Date(Date.now() + 30 * day).toISOString()]
  return { ...fields, hostnames: [...names], chain, sealed_key: testVault.seal(key, place), serial: "01", not_before, not_after }
}

const loopback = ["127.0.0.0/8", "::1/128"].map((text) => parseNetwork(text)!)

export interface StartAt {
  readonly http: number
  readonly https: number
  readonly reusePort?: boolean
}

export class TestEdge {
  readonly registry = new Registry()
  readonly authority: TestAuthority
  readonly router: Router
  http = 0
  https = 0

  private constructor(authority: TestAuthority, options: Partial<RouterOptions>) {
    this.authority = authority
    this.router = new Router({ registry: this.registry, vault: testVault, policy: makeAddressPolicy(loopback), ...options })
  }

  static async start(options: Partial<RouterOptions> = {}, at: StartAt = { http: 0, https: 0 }): Promise<TestEdge> {
    const edge = new TestEdge(await makeAuthority(), options)
    const place = (port: number) => ({ host: "127.0.0.1", port, reusePort: at.reusePort ?? false })
    Object.assign(edge, await edge.router.start(place(at.http), place(at.https)))
    return edge
  }

  /** Holds `hostname`, with a certificate for it (and for `names` besides). */
  async add(
    hostname: string,
    origin: string | null,
    fields: Partial<HostnameEntry> = {},
    names: ReadonlyArray<string> = []
  ): Promise<HostnameEntry> {
    const certificate_id = `certificate-${hostname.replace("*", "wildcard")}-${++version}`
    const entry = hostnameEntry(hostname, { origin, certificate_id, ...fields })
    this.registry.putCertificate(await certificateEntry(this.authority, [hostname, ...names], { certificate_id, claim_id: entry.claim_id }))
    this.registry.putHostname(entry, version)
    return entry
  }

  stop(millis = 500): Promise<void> {
    return this.router.stop(millis)
  }

  /** A TLS connection with `servername` as SNI; rejects when the handshake fails. */
  connect(
    servername: string,
    options: { readonly alpn?: ReadonlyArray<string>; readonly session?: Buffer; readonly maxVersion?: "TLSv1.2" } = {}
  ): Promise<TLSSocket> {
    return new Promise((resolve, reject) => {
      const socket = connectTls({
        ...{
          host: "127.0.0.1",
          port: this.https,
          servername,
          ca: [this.authority.pem],
          ALPNProtocols: [...(options.alpn ?? ["http/1.1"])]
        },
        ...(options.session === undefined ? {} : { session: options.session }),
        ...(options.maxVersion === undefined ? {} : { maxVersion: options.maxVersion })
      })
      socket.once("secureConnect", () => resolve(socket)).once("error", reject)
    })
  }

  connectPlain(): Promise<Socket> {
    return new Promise((resolve, reject) => {
      const socket = connectTcp(this.http, "127.0.0.1")
      socket.once("connect", () => resolve(socket)).once("error", reject)
    })
  }
}

/** Everything that a socket says until it closes, latin1. */
export const readAll = (socket: Socket): Promise<string> =>
  new Promise((resolve) => {
    const pieces: Array<Buffer> = []
    socket.on("data", (piece: Buffer) => pieces.push(piece))
    socket.on("error", () => {})
    socket.on("close", () => resolve(Buffer.concat(pieces).toString("latin1")))
  })

/** Reads until `enough` is satisfied by what came so far; rejects when the socket closes before. */
export const readUntil = (socket: Socket, enough: (text: string) => boolean): Promise<string> =>
  new Promise((resolve, reject) => {
    let text = ""
    const onData = (piece: Buffer) => {
      text += piece.toString("latin1")
      if (!enough(text)) return
      socket.off("data", onData).off("close", onClose)
      resolve(text)
    }
    const onClose = () => reject(new Error(`closed after: ${text}`))
    socket.on("data", onData).on("close", onClose)
  })

/** Sends raw bytes on a fresh TLS connection and reads until the edge closes. */
export const sendRaw = async (edge: TestEdge, servername: string, bytes: string | ReadonlyArray<string>): Promise<string> => {
  const socket = await edge.connect(servername)
  const answer = readAll(socket)
  for (const piece of typeof bytes === "string" ? [bytes] : bytes) {
    socket.write(piece, "latin1")
    await new Promise((resolve) => setImmediate(resolve))
  }
  return answer
}
