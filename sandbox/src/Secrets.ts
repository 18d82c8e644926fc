/**
 * The sandbox's own secrets: made once, kept with mode 0600, never printed.
 *
 * Owns: key-encryption keys, NATS seeds, passwords of the sandbox's servers. Leaves to libs/secrets: using the keys.
 */
import { randomBytes } from "node:crypto"
import { type ServiceName, serviceNames } from "@connect-domain/messages/definition.ts"
import { type DevDirectory, readJson, writeJson } from "./DevDirectory.ts"
import { newUserSeed } from "./nkeys.ts"

export interface Secrets {
  readonly credentialKey: string
  readonly edgeKey: string
  readonly webhookKey: string
  readonly acmeKey: string
  readonly tokenKey: string
  readonly natsSeeds: Readonly<Record<ServiceName, string>>
  readonly natsPassword: string
  readonly postgresPassword: string
  readonly dnsApiKey: string
}

/** Starts with a letter: some NATS clients take digits after a URL's colon for its port. */
const password = (): string => `p${randomBytes(20).toString("hex")}`
const ring = (): string => `sandbox:${randomBytes(32).toString("base64")}`

const make = (): Secrets => ({
  credentialKey: ring(),
  edgeKey: ring(),
  webhookKey: ring(),
  acmeKey: ring(),
  tokenKey: ring(),
  natsSeeds: Object.fromEntries(serviceNames.map((service) => [service, newUserSeed()])) as Record<ServiceName, string>,
  natsPassword: password(),
  postgresPassword: password(),
  dnsApiKey: password()
})

export const loadSecrets = (directory: DevDirectory): Secrets => {
  const known = readJson<Partial<Secrets>>(directory.secrets)
  const made = make()
  const secrets = { ...made, ...known, natsSeeds: { ...made.natsSeeds, ...known?.natsSeeds } }
  if (JSON.stringify(secrets) !== JSON.stringify(known)) writeJson(directory.secrets, secrets)
  return secrets
}
