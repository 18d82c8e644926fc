/** E12: which TLS the edge speaks, asked by OpenSSL's and GnuTLS's own clients. `testssl` is run by command (bench/edge/README.md). */
import { writeFileSync } from "node:fs"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { connect as connectTls } from "node:tls"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { ok, RawOrigin } from "../testing/RawOrigin.ts"
import { readAll, TestEdge } from "../testing/TestEdge.ts"
import { runProgram } from "./runProgram.ts"

const host = "shop.example.org"
const request = `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`
let edge: TestEdge
let origin: RawOrigin
let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "edge-posture-"))
  origin = await RawOrigin.answering(ok("served"))
  edge = await TestEdge.start()
  await edge.add(host, origin.url)
  writeFileSync(join(folder, "ca.pem"), edge.authority.pem)
})

afterAll(async () => {
  await edge.stop()
  await origin.stop()
  await rm(folder, { recursive: true, force: true })
})

const openssl = (...options: ReadonlyArray<string>) => {
  const about = ["-connect", `127.0.0.1:${edge.https}`, "-servername", host, "-CAfile", join(folder, "ca.pem"), "-verify_return_error"]
  return runProgram("openssl", ["s_client", ...about, "-ign_eof", ...options], { input: request })
}
const gnutls = (priority: string) => {
  const about = ["--x509cafile", join(folder, "ca.pem"), "--sni-hostname", host, "--verify-hostname", host, "-p", String(edge.https)]
  return runProgram("gnutls-cli", [...about, "--priority", priority, "127.0.0.1"], { input: request })
}
/** A client that would speak anything, so that the edge alone decides. */
const anything = ["-cipher", "ALL:COMPLEMENTOFALL:@SECLEVEL=0"]

describe("E12: TLS posture", () => {
  it.each([
    ["TLS 1.3, AES-128-GCM first", ["-tls1_3"], "TLS_AES_128_GCM_SHA256"],
    [
      "TLS 1.3, ChaCha20 when it is all that is offered",
      ["-tls1_3", "-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"],
      "TLS_CHACHA20_POLY1305_SHA256"
    ],
    [
      "TLS 1.2, the edge's order counts",
      ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256"],
      "ECDHE-ECDSA-AES128-GCM-SHA256"
    ],
    ["X25519", ["-groups", "X25519"], "X25519"],
    ["P-256", ["-groups", "P-256"], "prime256v1"],
    ["P-384", ["-groups", "P-384"], "secp384r1"]
  ])("E12: OpenSSL is served with %s", async (_, options, said) => {
    const { output } = await openssl(...options)
    expect(output).toContain("HTTP/1.1 200 OK")
    expect(output).toContain(said)
    expect(output).toMatch(/Compression: NONE/)
    expect(output).not.toMatch(/Max Early Data: [1-9]/)
  })

  it.each([
    ["TLS 1.0", ["-tls1", ...anything]],
    ["TLS 1.1", ["-tls1_1", ...anything]],
    ["CBC", ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0"]],
    ["key exchange without forward secrecy", ["-tls1_2", "-cipher", "AES128-GCM-SHA256:AES128-SHA:@SECLEVEL=0"]],
    ["finite-field Diffie-Hellman", ["-tls1_2", "-cipher", "DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES128-SHA:@SECLEVEL=0"]],
    ["no encryption, no authentication", ["-tls1_2", "-cipher", "NULL:aNULL:eNULL:@SECLEVEL=0"]],
    ["CCM", ["-tls1_3", "-ciphersuites", "TLS_AES_128_CCM_SHA256"]],
    ["a group that is not offered", ["-tls1_3", "-groups", "ffdhe2048"]],
    ["signatures with SHA-1", ["-tls1_2", "-sigalgs", "ECDSA+SHA1:RSA+SHA1", "-cipher", "ALL:@SECLEVEL=0"]]
  ])("E12: OpenSSL is refused %s", async (_, options) => {
    const { output } = await openssl(...options)
    expect(output).toMatch(/CONNECTED/)
    expect(output).not.toContain("HTTP/1.1")
    expect(output).toMatch(/SSL alert number/)
  })

  it("E12: no renegotiation, safe or not", async () => {
    const { output } = await runProgram(
      "openssl",
      ["s_client", "-connect", `127.0.0.1:${edge.https}`, "-servername", host, "-tls1_2", "-legacy_renegotiation"],
      { input: "R\n", holdInput: true }
    )
    expect(output).toMatch(/RENEGOTIATING[\s\S]*(no renegotiation|alert)/)
    expect(output).toMatch(/Secure Renegotiation IS supported/)
  })

  it.each([
    ["NORMAL", true],
    ["NORMAL:-VERS-ALL:+VERS-TLS1.2", true],
    ["NORMAL:-VERS-ALL:+VERS-TLS1.3:-GROUP-ALL:+GROUP-SECP256R1", true],
    ["NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-256-GCM", true],
    ["LEGACY:-VERS-ALL:+VERS-TLS1.1:+VERS-TLS1.0", false],
    ["LEGACY:-VERS-ALL:+VERS-TLS1.2:-CIPHER-ALL:+AES-128-CBC:+3DES-CBC", false],
    ["LEGACY:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+RSA:+DHE-RSA", false]
  ])("E12: GnuTLS with %s: served %s", async (priority, served) => {
    const { output } = await gnutls(priority)
    if (served) expect(output).toMatch(/The certificate is trusted[\s\S]*HTTP\/1\.1 200 OK/)
    else expect(output).toMatch(/Fatal error|alert|No or insufficient priorities/i)
    expect(output.includes("HTTP/1.1 200 OK")).toBe(served)
  })

  it("E12: a post-quantum key share, larger than a segment, is no obstacle", async () => {
    for (const groups of ["X25519MLKEM768:X25519", "X25519MLKEM768:P-256"]) {
      const socket = connectTls({ host: "127.0.0.1", port: edge.https, servername: host, ca: edge.authority.pem, ecdhCurve: groups })
      const end = readAll(socket)
      socket.write(request)
      expect(await end, groups).toContain("200 OK")
    }
  })
})
