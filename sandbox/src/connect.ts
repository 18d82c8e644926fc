/**
 * `./dev connect <hostname>`: plays the customer for one hostname. Manual: adds the records itself. Automatic: an application
 * that holds a credential of the sandbox's DNS provider; only watches.
 */
import { CustomerDns, zoneFor } from "./CustomerDns.ts"
import { devDirectory, Refusal } from "./DevDirectory.ts"
import { edgeRequest } from "./edgeRequest.ts"
import { enterRecords } from "./enterRecords.ts"
import { followToLive } from "./followStates.ts"
import { dim, green, say } from "./progress.ts"
import { SandboxApi } from "./SandboxApi.ts"
import { readState, type SandboxState } from "./StateFile.ts"

/** Apart from the seeded one: what an application with a credential connects is automatic unless it says otherwise. */
const automaticName = "Sandbox, automatic"

/** The application that holds a credential at the sandbox's DNS; made at the first use. Gives back its id. */
const automaticApplication = async (api: SandboxApi, state: SandboxState): Promise<string> => {
  const { data } = await api.list<{ id: string; name: string }>("/v1/applications?limit=100")
  const known = data.find((one) => one.name === automaticName)
  if (known !== undefined) return known.id
  const made = await api.call<{ id: string }>("POST", "/v1/applications", {
    name: automaticName,
    environment: "test",
    origin: state.origin
  })
  const token = { url: state.dns.api_url, api_key: state.dns.api_key }
  await api.call("POST", `/v1/applications/${made.id}/credentials`, { provider: "powerdns", token })
  return made.id
}

export const connect = async (hostname: string | undefined, automatic: boolean): Promise<number> => {
  if (hostname === undefined)
    throw new Refusal("Usage: ./dev connect <hostname> [--automatic], for example ./dev connect www.example-customer.test")
  const state = readState(devDirectory())
  const api = new SandboxApi(state.api, state.api_key)
  const dns = new CustomerDns(state.dns)
  const zone = zoneFor(hostname)
  await dns.ensureZone(zone)
  const application_id = automatic ? await automaticApplication(api, state) : state.application_id
  const began = Date.now()
  const setup_type = automatic ? "automatic" : "manual"
  const connection = await api.create({ application_id, hostname, setup_type })
  say(dim(`  connection ${connection.id}`))
  if (!automatic) await enterRecords(dns, zone, connection)
  const live = await followToLive(api, connection.id, began, 120)
  const visited = live.hostname.replace(/^\*/, "anything")
  const answer = await edgeRequest(state, visited, "/")
  say(`GET https://${visited}/ through the edge: ${answer.status === 200 ? green("200") : answer.status}, certificate by ${answer.issuer}`)
  return answer.status === 200 ? 0 : 1
}
