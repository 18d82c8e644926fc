/**
 * The running sandbox as its stories see it: the API, the customer's DNS, the edge, the webhook sink, and signals to processes.
 *
 * Owns: small steps that several stories share. Everything goes through a public surface; nothing reads a service's table or subject.
 */
import { execFile } from "node:child_process"
import { randomBytes } from "node:crypto"
import { join, resolve } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { promisify } from "node:util"
import { CustomerDns, zoneFor } from "@connect-domain/sandbox/CustomerDns.ts"
import { devDirectory } from "@connect-domain/sandbox/DevDirectory.ts"
import { recordsToEnter } from "@connect-domain/sandbox/enterRecords.ts"
import { type Connection, SandboxApi } from "@connect-domain/sandbox/SandboxApi.ts"
import { readState, type SandboxState } from "@connect-domain/sandbox/StateFile.ts"
import type { Tenant } from "@connect-domain/sandbox/seed.ts"
import { inject } from "vitest"

export const folder = inject("sandboxFolder")
const directory = devDirectory({ CD_DEV_DIR: folder })

/** Read anew each time: pids change. */
export const state = (): SandboxState => readState(directory)

const start = state()
export const api = new SandboxApi(start.api, start.api_key)
export const dns = new CustomerDns(start.dns)

/** Repeats `look` until it gives something; says what was seen last when it never does. */
export const until = async <A>(what: string, look: () => Promise<A | undefined>, limitSeconds = 60): Promise<A> => {
  const limit = Date.now() + limitSeconds * 1_000
  let last: unknown
  while (Date.now() < limit) {
    try {
      const found = await look()
      if (found !== undefined) return found
    } catch (error) {
      last = error
    }
    await sleep(60)
  }
  throw new Error(`${what}: not within ${limitSeconds} s${last === undefined ? "" : `; last: ${String(last)}`}`)
}

/** A hostname in a zone of its own, so that stories don't meet. */
export const newHostname = (label = "shop"): string => `${label}.c${randomBytes(5).toString("hex")}.test`

export const createManual = (hostname: string, more: Readonly<Record<string, unknown>> = {}): Promise<Connection> =>
  api.create({ application_id: start.application_id, hostname, setup_type: "manual", ...more })

/** What the customer does: the TXT record and the web records. */
export const addRecords = (connection: Connection): Promise<void> => dns.put(zoneFor(connection.hostname), recordsToEnter(connection))

export const untilState = (id: string, wanted: string, limitSeconds = 90): Promise<Connection> => {
  let seen = ""
  return until(
    `${id} is ${wanted}`,
    async () => {
      const connection = await api.connection(id)
      seen = connection.state
      if (connection.state === wanted) return connection
      throw new Error(`it is ${seen}`)
    },
    limitSeconds
  )
}

export const connectManually = async (hostname = newHostname()): Promise<Connection> => {
  const connection = await createManual(hostname)
  await addRecords(connection)
  return untilState(connection.id, "live")
}

export interface SinkEntry {
  readonly body: {
    readonly id: string
    readonly type: string
    readonly jobId: string
    readonly sequence: number
    readonly data: Readonly<Record<string, unknown>>
  }
  readonly headers: Readonly<Record<string, string>>
  readonly verified: boolean
  readonly problem: string | null
}

export const webhooksOf = async (connectionId: string): Promise<ReadonlyArray<SinkEntry>> => {
  const all = (await (await fetch(start.webhook_sink.received)).json()) as ReadonlyArray<SinkEntry>
  return all.filter((entry) => entry.body.jobId === connectionId)
}

export const untilWebhook = (connectionId: string, type: string): Promise<SinkEntry> =>
  until(`webhook ${type}`, async () => (await webhooksOf(connectionId)).find((entry) => entry.body.type === type))

export interface LoggedEvent {
  readonly id: string
  readonly type: string
  readonly sequence: number
}

export const eventsOf = async (connectionId: string): Promise<ReadonlyArray<LoggedEvent>> =>
  (await api.list<LoggedEvent>(`/v1/connections/${connectionId}/events?limit=100`)).data

/** Signals one process of the sandbox and waits until another one has taken its place. */
export const killAndAwait = async (name: string, signal: NodeJS.Signals = "SIGKILL"): Promise<void> => {
  const before = state().pids[name]
  if (before === undefined) throw new Error(`state.json names no pid for ${name}`)
  process.kill(before, signal)
  await until(`${name} runs again`, async () => {
    const now = state().pids[name]
    return now !== undefined && now !== before ? now : undefined
  })
}

const run = promisify(execFile)
const root = resolve(import.meta.dirname, "..")

/** Runs `./dev` against this sandbox; its standard output. */
export const dev = async (...args: ReadonlyArray<string>): Promise<string> => {
  const env = { ...process.env, CD_DEV_DIR: folder, CD_PORTS: "auto" }
  return (await run(join(root, "dev"), [...args], { env, maxBuffer: 16 * 1024 * 1024 })).stdout
}

/** An application of its own with a credential, so that other stories stay manual. */
export const applicationWithCredential = async (): Promise<string> => {
  const { origin, dns: server } = state()
  const application = await api.call<{ id: string }>("POST", "/v1/applications", { name: "Automatic", origin, environment: "test" })
  const token = { url: server.api_url, api_key: server.api_key }
  const credential = await api.call<{ id: string }>("POST", `/v1/applications/${application.id}/credentials`, {
    provider: "powerdns",
    token
  })
  if (JSON.stringify(credential).includes(server.api_key)) throw new Error("the API gave the credential away")
  await api.call("POST", `/v1/applications/${application.id}/credentials/${credential.id}:test`)
  return application.id
}

export const newTenant = async (plan: string): Promise<Tenant> =>
  JSON.parse(await dev("tenant", "create", "--plan", plan, "--json")) as Tenant

/** An API call whatever its status: for stories about refusals. */
export const ask = async (key: string, method: string, path: string, body?: unknown) => {
  const response = await fetch(`${start.api}${path}`, {
    method,
    headers: { authorization: `Bearer ${key}`, ...(body === undefined ? {} : { "content-type": "application/json" }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) })
  })
  const text = await response.text()
  return {
    status: response.status,
    headers: response.headers,
    body: text === "" ? undefined : (JSON.parse(text) as Record<string, unknown>)
  }
}
