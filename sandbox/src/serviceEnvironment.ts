/**
 * What each service is told by environment variables: addresses, and only those secrets that it may open.
 *
 * Owns: the sandbox's values. Leaves to each service: names, defaults and meanings (`./dev config` prints them).
 * Built against: a key that every process holds because it was convenient.
 */
import { join } from "node:path"
import type { ServiceName } from "@connect-domain/messages/definition.ts"
import type { DevDirectory } from "./DevDirectory.ts"
import type { Ports } from "./ports.ts"
import type { Secrets } from "./Secrets.ts"

export interface SandboxAddresses {
  readonly databaseUrl: string
  readonly natsUrl: string
  /** Undefined: the certifier's own internal authority issues. */
  readonly acmeDirectory: string | undefined
  readonly acmeAuthorityFile: string | undefined
  /** Where a test authority shows its roots, new at each of its starts. */
  readonly acmeRootsUrl: string | undefined
  /** `ip:port` */
  readonly dns: string
  /** Where zones are written: PowerDNS's API. */
  readonly dnsApi: { readonly url: string; readonly key: string }
}

type Environment = Record<string, string>

const kept = ["PATH", "HOME", "LANG", "TZ", "TMPDIR", "NODE_OPTIONS", "NODE_COMPILE_CACHE"]
/** Settings of the person who starts the sandbox go to every service: `OTEL_…`, `CD_…` beside the sandbox's own. */
const inherited = (env: NodeJS.ProcessEnv): Environment =>
  Object.fromEntries(
    Object.entries(env).filter(
      (entry): entry is [string, string] =>
        entry[1] !== undefined && (kept.includes(entry[0]) || entry[0].startsWith("OTEL_") || entry[0].startsWith("CD_"))
    )
  )

const shared = (addresses: SandboxAddresses): Environment => ({
  CD_MODE: "sandbox",
  NATS_URL: addresses.natsUrl,
  CD_NETWORK_ALLOW: "127.0.0.0/8,::1/128",
  CD_EDGE_HOSTNAME: "edge.connect.test",
  CD_EDGE_ADDRESSES: "127.0.0.1",
  CD_DNS_AUTHORITY_OVERRIDE: addresses.dns
})

/** A zone that was named without saying who holds it is held by the sandbox's own DNS. */
const acmeZone = ({ env, addresses }: Parameters<typeof serviceEnvironment>[1]): Environment =>
  env.CD_ACME_DNS_ZONE && !env.CD_ACME_DNS_PROVIDER
    ? {
        CD_ACME_DNS_PROVIDER: "powerdns",
        CD_ACME_DNS_CREDENTIAL: JSON.stringify({ url: addresses.dnsApi.url, api_key: addresses.dnsApi.key })
      }
    : {}

const own = (service: ServiceName, options: Parameters<typeof serviceEnvironment>[1]): Environment => {
  const { directory, ports, secrets, addresses } = options
  const database = { DATABASE_URL: addresses.databaseUrl }
  switch (service) {
    case "gateway":
      return {
        ...database,
        CREDENTIAL_ENC_KEY: secrets.credentialKey,
        CD_TOKEN_KEY: secrets.tokenKey,
        CD_API_LISTEN: `127.0.0.1:${ports.api}`,
        CD_INTERNAL_LISTEN: `127.0.0.1:${ports.internal}`,
        CD_PUBLIC_API_URL: `http://127.0.0.1:${ports.api}`,
        CD_RATE_LIMIT: "0"
      }
    case "lifecycle":
      return { ...database, CD_LIVE_CHECK_SECONDS: "5" }
    case "connector":
      return { CREDENTIAL_ENC_KEY: secrets.credentialKey, ...acmeZone(options) }
    case "certifier":
      return {
        ...database,
        EDGE_KEK: secrets.edgeKey,
        CD_ACME_KEK: secrets.acmeKey,
        CD_ACME_DIRECTORY: addresses.acmeDirectory ?? "internal",
        CD_ACME_DIRECTORY_TEST: addresses.acmeDirectory ?? "internal",
        CD_ARI_POLL_SECONDS: "10",
        CD_ACME_NEW_ORDERS: "1",
        ...(addresses.acmeRootsUrl === undefined ? {} : { CD_ACME_ROOTS_URL: addresses.acmeRootsUrl }),
        ...(addresses.acmeDirectory === undefined ? { CD_INTERNAL_CA_ROOT_FILE: directory.roots } : {}),
        ...(addresses.acmeAuthorityFile === undefined ? {} : { CD_ACME_CA_FILE: addresses.acmeAuthorityFile })
      }
    case "router":
      return {
        EDGE_KEK: secrets.edgeKey,
        CD_EDGE_ID: "sandbox",
        CD_EDGE_HTTP_LISTEN: `127.0.0.1:${ports.edgeHttp}`,
        CD_EDGE_HTTPS_LISTEN: `127.0.0.1:${ports.edgeHttps}`,
        CD_EDGE_SNAPSHOT_DIR: join(directory.edge, "snapshot"),
        CD_EDGE_DRAIN_SECONDS: "2",
        CD_PUBLIC_HTTPS_PORT: String(ports.edgeHttps)
      }
    case "billing":
      return database
    case "webhooks":
      return { ...database, WEBHOOK_KEK: secrets.webhookKey }
  }
}

/** The sandbox's own values win over inherited ones where two stacks would otherwise collide; switches of the person win over defaults. */
export const serviceEnvironment = (
  services: ReadonlyArray<ServiceName>,
  options: {
    readonly directory: DevDirectory
    readonly ports: Ports
    readonly secrets: Secrets
    readonly addresses: SandboxAddresses
    readonly env: NodeJS.ProcessEnv
  }
): Environment => {
  const fixed = Object.assign({}, ...services.map((service) => own(service, options))) as Environment
  const seeds = Object.fromEntries(services.map((service) => [`CD_${service.toUpperCase()}_NATS_SEED`, options.secrets.natsSeeds[service]]))
  const chosen = inherited(options.env)
  const switches = Object.fromEntries(
    ["CD_LIVE_CHECK_SECONDS", "CD_RATE_LIMIT", "CD_PLANS_FILE", "CD_ARI_POLL_SECONDS"].flatMap((name) =>
      chosen[name] ? [[name, chosen[name]]] : []
    )
  )
  return { ...chosen, ...shared(options.addresses), ...fixed, ...switches, ...seeds }
}
