/**
 * The sandbox's own secrets: made once, kept with mode 0600, never printed.
 *
 * Owns: key-encryption keys, NATS seeds, passwords of the sandbox's servers. Leaves to libs/secrets: using the keys.
 */
import { randomBytes } from "node:crypto"
import type { Sender } from "@connect-domain/messages/definition.ts"
import { type DevDirectory, readJson, writeJson } from "./DevDirectory.ts"

export interface Secrets {
  readonly credentialKey: string
  readonly edgeKey: string
  readonly webhookKey: string
  readonly acmeKey: string
  readonly tokenKey: string
  readonly natsSeeds: Readonly<Record<Sender, string>>
  readonly natsPassword: string
  readonly postgresPassword: string
  readonly dnsApiKey: string
}

/** Starts with a letter: some NATS clients take digits after a URL's colon for its port. */
const password = (): string => `p${randomBytes(20).toString("hex")}`
const ring = (): string => `sandbox:${randomBytes(32).toString("base64")}`

const make = (natsSeeds: Record<Sender, string>): Secrets => ({
  credentialKey: ring(),
  edgeKey: ring(),
  webhookKey: ring(),
  acmeKey: ring(),
  tokenKey: ring(),
  natsSeeds,
  natsPassword: password(),
  postgresPassword: password(),
  dnsApiKey: password()
})

const makeSeeds = async (): Promise<Record<Sender, string>> => {
  const { createUsers } = await import("@connect-domain/nats/serverConfiguration.ts")
  return Object.fromEntries(createUsers().map((user) => [user.name, user.seed])) as Record<Sender, string>
}

/** What is missing is made and kept. */
export const loadSecrets = async (directory: DevDirectory): Promise<Secrets> => {
  const known = readJson<Secrets>(directory.secrets)
  if (known !== undefined) return known
  const secrets = make(await makeSeeds())
  writeJson(directory.secrets, secrets)
  return secrets
}
