/** RFC 2136 (BIND, Knot, PowerDNS with dnsupdate …) as people see it. */
import type { Descriptor } from "@connect-domain/dns-provider/Descriptor.ts"
import { Result } from "effect"
import { makeRfc2136 } from "./Rfc2136Provider.ts"
import { algorithms, isAlgorithm, type TsigKey } from "./tsig.ts"

export const rfc2136: Descriptor = {
  key: "rfc2136",
  name: "RFC 2136 (BIND, Knot)",
  credentialFields: [
    { name: "server", label: "Primary server", secret: false, required: true, example: "ns1.example.com" },
    { name: "port", label: "Port", secret: false, required: false, example: "53" },
    { name: "tsig_name", label: "TSIG key name", secret: false, required: true, example: "connect-domain" },
    { name: "tsig_secret", label: "TSIG secret (base64)", secret: true, required: true },
    { name: "algorithm", label: "TSIG algorithm", secret: false, required: false, example: "hmac-sha256" },
    { name: "zone", label: "Zone", secret: false, required: false, example: "example.com" }
  ],
  capabilities: { atomicApply: true, conditionalApply: true, apexAlias: false, wildcard: true, caa: true },
  guide: `1. Make a key: \`tsig-keygen -a hmac-sha256 connect-domain\`, and add its output to \`named.conf\`.
2. Let it change only what is needed, for example
   \`update-policy { grant connect-domain name www.example.com. CNAME; grant connect-domain name _customdomain-challenge.www.example.com. TXT; };\`
   (with \`grant connect-domain name _acme-challenge.www.example.com. TXT;\` certificates are there before the name moves, and wildcards work),
   or \`grant connect-domain zonesub ANY;\` for the whole zone.
3. Open TCP port 53 of the primary server to this service, and enter server, key name and secret here.`,
  logo: null,
  nameServers: [],
  make: (token, reach) => Result.map(readToken(token), (credential) => makeRfc2136(credential, reach))
}

export type Rfc2136Credential = { readonly server: string; readonly port: number; readonly key: TsigKey; readonly zone: string | undefined }

const readToken = (token: unknown): Result.Result<Rfc2136Credential, string> => {
  const given = typeof token === "object" && token !== null ? (token as Record<string, unknown>) : {}
  const { server, port = 53, tsig_name: name, tsig_secret: secret, algorithm = "hmac-sha256", zone } = given
  if (typeof server !== "string" || !/^[A-Za-z0-9.:-]+$/.test(server)) return Result.fail("server must be a host name or an address")
  const number = Number(port)
  if (!Number.isInteger(number) || number < 1 || number > 65_535) return Result.fail("port must be between 1 and 65535")
  if (typeof name !== "string" || !/^[A-Za-z0-9._-]{1,253}$/.test(name)) return Result.fail("tsig_name must be the key's name")
  if (typeof secret !== "string" || !/^[A-Za-z0-9+/]+={0,2}$/.test(secret))
    return Result.fail("tsig_secret must be the key's secret in base64")
  const wanted = String(algorithm).toLowerCase().replace(/\.$/, "")
  if (!isAlgorithm(wanted)) return Result.fail(`algorithm must be one of ${Object.keys(algorithms).join(", ")}`)
  if (zone !== undefined && zone !== null && (typeof zone !== "string" || !/^[A-Za-z0-9._-]+$/.test(zone)))
    return Result.fail("zone must be a zone's name")
  const plain = (text: string) => text.toLowerCase().replace(/\.$/, "")
  const key = { name: plain(name), algorithm: wanted, secret: Buffer.from(secret, "base64") }
  return Result.succeed({ server, port: number, key, zone: typeof zone === "string" && zone !== "" ? plain(zone) : undefined })
}
