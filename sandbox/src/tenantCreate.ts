/** `./dev tenant create`: a tenant with an application and a key of every scope, on any plan. */
import { createTenant } from "./createTenant.ts"
import { devDirectory, Refusal } from "./DevDirectory.ts"
import { SandboxApi } from "./SandboxApi.ts"
import { readState } from "./StateFile.ts"

export const tenantCreate = async (options: {
  readonly plan: string | undefined
  readonly name: string | undefined
  readonly json: boolean
}): Promise<number> => {
  const state = readState(devDirectory())
  const plan = options.plan ?? "free"
  const plans = await new SandboxApi(state.api, state.api_key).list<{ key: string }>("/v1/plans")
  const known = plans.data.map((one) => one.key)
  if (!known.includes(plan)) throw new Refusal(`There is no plan '${plan}'. Known: ${known.join(", ")}.`)
  const name = options.name ?? `Tenant on ${plan}`
  const tenant = await createTenant({ databaseUrl: state.database_url, origin: state.origin, name, plan })
  if (options.json) console.log(JSON.stringify(tenant))
  else
    console.log(
      `tenant       ${tenant.tenant_id}\napplication  ${tenant.application_id}\nkey          ${tenant.api_key}\nplan         ${plan}`
    )
  return 0
}
