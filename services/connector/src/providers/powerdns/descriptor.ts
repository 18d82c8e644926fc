/** PowerDNS as people see it: its credential, what it can do, how to make an API key. */
import type { Descriptor } from "@connect-domain/dns-provider/Descriptor.ts"
import { Result } from "effect"
import { makePowerDns } from "./PowerDnsProvider.ts"

export const powerdns: Descriptor = {
  key: "powerdns",
  name: "PowerDNS",
  credentialFields: [
    { name: "url", label: "API address", secret: false, required: true, example: "https://dns.example.com:8081" },
    { name: "api_key", label: "API key", secret: true, required: true },
    { name: "server_id", label: "Server id", secret: false, required: false, example: "localhost" }
  ],
  capabilities: { atomicApply: true, conditionalApply: false, apexAlias: true, wildcard: true, caa: true },
  guide: `1. In \`pdns.conf\` set \`webserver=yes\`, \`api=yes\` and an \`api-key\` of at least 32 random characters.
2. Limit \`webserver-allow-from\` to this service's addresses, and put TLS in front of it.
3. Enter the address and the key here. The key may change every zone of the server: run a server of its own for zones that others must not touch.`,
  logo: null,
  nameServers: [],
  make: (token, reach) => Result.map(readToken(token), (credential) => makePowerDns(credential, reach))
}

export type PowerDnsCredential = { readonly url: string; readonly apiKey: string; readonly serverId: string }

const readToken = (token: unknown): Result.Result<PowerDnsCredential, string> => {
  const given = typeof token === "object" && token !== null ? (token as Record<string, unknown>) : {}
  const { url, api_key: apiKey, server_id: serverId = "localhost" } = given
  if (typeof url !== "string" || !/^https?:\/\/[^/\s]+/.test(url) || URL.parse(url) === null)
    return Result.fail("url must be the API's address, such as https://dns.example.com:8081")
  if (typeof apiKey !== "string" || !/^[\x21-\x7e]+$/.test(apiKey)) return Result.fail("api_key must be the key from pdns.conf")
  if (typeof serverId !== "string" || !/^[A-Za-z0-9._-]+$/.test(serverId))
    return Result.fail("server_id must be a server's id; leave it out for localhost")
  return Result.succeed({ url: url.replace(/\/+$/, "").replace(/\/api\/v1$/, ""), apiKey, serverId })
}
