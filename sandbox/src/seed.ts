/**
 * The sandbox's tenants: one without limits, `other` on the free plan, each with an application, a key of every scope and the webhook sink
 * as receiver.
 *
 * Owns: what is seeded, and that it happens once. Leaves to `createTenant.ts`: making a tenant.
 */
import { createTenant } from "./createTenant.ts"
import { type DevDirectory, readJson, writeJson } from "./DevDirectory.ts"
import { ApiRefusal, SandboxApi } from "./SandboxApi.ts"

export interface Tenant {
  readonly tenant_id: string
  readonly application_id: string
  readonly api_key: string
}

export interface Seeds {
  readonly tenant: Tenant
  readonly other: Tenant
}

interface SeedOptions {
  readonly directory: DevDirectory
  readonly databaseUrl: string
  readonly api: string
  readonly origin: string
  readonly sink: string
}

/** Sends every event of the tenant to the webhook sink, and tells the sink the secret to verify with. */
const subscribeSink = async (options: SeedOptions, tenant: Tenant): Promise<void> => {
  const api = new SandboxApi(options.api, tenant.api_key)
  const endpoint = await api.call<{ signing_secret: string }>("POST", "/v1/webhook-endpoints", { url: `${options.sink}/hook` })
  await new SandboxApi(options.sink, "").call("PUT", "/secrets", { secrets: [endpoint.signing_secret] })
}

const stillThere = async (options: SeedOptions, tenant: Tenant): Promise<boolean> => {
  try {
    await new SandboxApi(options.api, tenant.api_key).call("GET", `/v1/applications/${tenant.application_id}`)
    return true
  } catch (error) {
    if (error instanceof ApiRefusal && [401, 404].includes(error.status)) return false
    throw error
  }
}

/** The origin's address may change between starts (`CD_PORTS=auto`): applications follow. */
const followOrigin = async (options: SeedOptions, tenant: Tenant): Promise<void> => {
  const api = new SandboxApi(options.api, tenant.api_key)
  const application = await api.call<{ origin: string | null }>("GET", `/v1/applications/${tenant.application_id}`)
  if (application.origin !== options.origin)
    await api.call("PATCH", `/v1/applications/${tenant.application_id}`, { origin: options.origin })
  const { data } = await api.list<{ id: string; url: string }>("/v1/webhook-endpoints")
  for (const endpoint of data.filter((one) => one.url.endsWith("/hook") && one.url !== `${options.sink}/hook`)) {
    await api.call("PATCH", `/v1/webhook-endpoints/${endpoint.id}`, { url: `${options.sink}/hook` })
  }
}

export const seedTenants = async (options: SeedOptions): Promise<Seeds> => {
  const known = readJson<Seeds>(options.directory.tenants)
  if (known !== undefined && (await stillThere(options, known.tenant)) && (await stillThere(options, known.other))) {
    await Promise.all([followOrigin(options, known.tenant), followOrigin(options, known.other)])
    return known
  }
  const { databaseUrl, origin } = options
  const seeds: Seeds = {
    tenant: await createTenant({ databaseUrl, origin, name: "Sandbox", plan: "enterprise" }),
    other: await createTenant({ databaseUrl, origin, name: "Other", plan: "free" })
  }
  await subscribeSink(options, seeds.tenant)
  await subscribeSink(options, seeds.other)
  writeJson(options.directory.tenants, seeds)
  return seeds
}
