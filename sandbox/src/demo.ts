/**
 * The demo of `./dev up`: a customer's hostname from POST to live HTTPS, with the webhook that tells the vendor.
 *
 * Owns: the story and its lines. At a later start the hostname is live already: then only the request is shown.
 */
import { setTimeout as sleep } from "node:timers/promises"
import { CustomerDns, zoneFor } from "./CustomerDns.ts"
import { Refusal } from "./DevDirectory.ts"
import { edgeRequest } from "./edgeRequest.ts"
import { enterRecords } from "./enterRecords.ts"
import { followToLive } from "./followStates.ts"
import { bold, dim, green, say, seconds } from "./progress.ts"
import { type Connection, SandboxApi } from "./SandboxApi.ts"
import type { SandboxState } from "./StateFile.ts"

export const demoHostname = "shop.acme.test"

interface SinkEntry {
  readonly body: { readonly id: string; readonly type: string; readonly jobId: string }
  readonly verified: boolean
  readonly problem: string | null
}

/** The webhook about this connection; undefined when none came in time. */
const awaitWebhook = async (state: SandboxState, id: string, type: string): Promise<SinkEntry | undefined> => {
  const limit = Date.now() + 10_000
  while (Date.now() < limit) {
    const all = (await (await fetch(state.webhook_sink.received)).json()) as ReadonlyArray<SinkEntry>
    const found = all.find((entry) => entry.body.jobId === id && entry.body.type === type)
    if (found !== undefined) return found
    await sleep(50)
  }
  return undefined
}

const showRequest = async (state: SandboxState, hostname: string): Promise<void> => {
  const answer = await edgeRequest(state, hostname, "/hello")
  if (answer.status !== 200)
    throw new Refusal(`The edge answered ${answer.status} for https://${hostname}/hello: ${answer.body.slice(0, 200)}`)
  say(`\n${bold(`GET https://${hostname}/hello`)} through the edge: ${green(String(answer.status))} in ${seconds(answer.millis)}`)
  say(dim(`  ${answer.protocol}, certificate by ${answer.issuer}; the origin saw:`))
  const { headers } = JSON.parse(answer.body) as { headers: Record<string, string> }
  for (const name of ["host", "x-forwarded-for", "x-forwarded-proto", "x-cd-connection"]) {
    if (headers[name] !== undefined) say(dim(`  ${name}: ${headers[name]}`))
  }
}

export const demo = async (state: SandboxState): Promise<void> => {
  const api = new SandboxApi(state.api, state.api_key)
  const known = await api.list<Connection>(`/v1/connections?hostname=${demoHostname}&state=live`)
  if (known.data.length > 0) return showRequest(state, demoHostname)
  say(`\nConnecting ${bold(demoHostname)}, as a vendor and his customer would:`)
  const began = Date.now()
  const connection = await api.create({ application_id: state.application_id, hostname: demoHostname, setup_type: "manual" })
  const dns = new CustomerDns(state.dns)
  await enterRecords(dns, zoneFor(demoHostname), connection)
  await followToLive(api, connection.id, began)
  await showRequest(state, demoHostname)
  const webhook = await awaitWebhook(state, connection.id, "domain.flow.completed")
  if (webhook === undefined) throw new Refusal("No webhook 'domain.flow.completed' arrived within 10 s. See './dev logs webhooks'.")
  say(`\nWebhook ${bold(webhook.body.type)} received; signature ${webhook.verified ? green("verified") : `wrong: ${webhook.problem}`}`)
}
