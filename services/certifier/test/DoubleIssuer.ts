/** The issuing half of `AcmeDouble`: one intermediate that signs and a renewal window for each certificate. */
import * as x509 from "@peculiar/x509"
import { readCertificateFacts } from "../src/acme/certificateFacts.ts"
import type { KeyPair } from "../src/acme/signingRequest.ts"
import { keyTypes, makeKeys } from "./madeCertificate.ts"

const algorithm = keyTypes.p256
const day = 86_400_000

interface Window {
  readonly start: number
  readonly end: number
}

export class DoubleIssuer {
  /** CertID (RFC 9773 §4.1) → when to renew. */
  readonly windows = new Map<string, Window>()
  readonly #keys: KeyPair
  readonly #authority: x509.X509Certificate
  #serial = 0x1000

  private constructor(keys: KeyPair, authority: x509.X509Certificate) {
    this.#keys = keys
    this.#authority = authority
  }

  static async make(): Promise<DoubleIssuer> {
    const keys = await makeKeys("p256")
    const authority = await x509.X509CertificateGenerator.createSelfSigned({
      name: "CN=Double R1",
      serialNumber: "01",
      notBefore: new Date(Date.now() - day),
      notAfter: new Date(Date.now() + 365 * day),
      keys,
      signingAlgorithm: algorithm,
      extensions: [new x509.BasicConstraintsExtension(true, 0, true), await x509.SubjectKeyIdentifierExtension.create(keys.publicKey)]
    })
    return new DoubleIssuer(keys, authority)
  }

  /** A chain for the signing request (base64url of DER). */
  async sign(csr: string): Promise<string> {
    const request = new x509.Pkcs10CertificateRequest(Buffer.from(csr, "base64url"))
    const names = request.extensions.find((each) => each instanceof x509.SubjectAlternativeNameExtension)!
    return this.#issue(
      request.publicKey,
      names.names.items.map(({ value }) => value)
    )
  }

  /** A chain for a name, without an order: a certificate that is there already. One key for all of them. */
  mint(name: string): Promise<string> {
    return this.#issue(this.#keys.publicKey as never, [name])
  }

  moveAll(window: Window): void {
    for (const id of this.windows.keys()) this.windows.set(id, window)
  }

  async #issue(
    publicKey: Parameters<typeof x509.AuthorityKeyIdentifierExtension.create>[0],
    names: ReadonlyArray<string>
  ): Promise<string> {
    const [from, to] = [Date.now() - 3_600_000, Date.now() + 90 * day]
    const leaf = await x509.X509CertificateGenerator.create({
      serialNumber: (this.#serial++).toString(16).padStart(8, "4"),
      subject: "",
      issuer: this.#authority.subject,
      notBefore: new Date(from),
      notAfter: new Date(to),
      publicKey: publicKey as never,
      signingKey: this.#keys.privateKey,
      signingAlgorithm: algorithm,
      extensions: [
        new x509.SubjectAlternativeNameExtension(
          names.map((value) => ({ type: "dns", value }) as const),
          true
        ),
        await x509.AuthorityKeyIdentifierExtension.create(this.#authority.publicKey)
      ]
    })
    const chain = `${leaf.toString("pem")}\n${this.#authority.toString("pem")}\n`
    const middle = from + ((to - from) * 2) / 3
    this.windows.set(readCertificateFacts(chain).certId!, { start: middle - day, end: middle + day })
    return chain
  }
}
