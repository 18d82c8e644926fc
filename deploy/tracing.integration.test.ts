/** One trace from the API call over every service to the edge, exported by OTLP; and log lines that name request, trace and connection. */
import { spawn } from "node:child_process"
import { randomBytes } from "node:crypto"
import { once } from "node:events"
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { createServer, type Server } from "node:http"
import { request } from "node:https"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { fileURLToPath } from "node:url"
import { CustomerDns, zoneFor } from "@connect-domain/sandbox/CustomerDns.ts"
import { devDirectory } from "@connect-domain/sandbox/DevDirectory.ts"
import { type Connection, SandboxApi } from "@connect-domain/sandbox/SandboxApi.ts"
import { readState, type SandboxState } from "@connect-domain/sandbox/StateFile.ts"
import { afterAll, beforeAll, expect, it } from "vitest"

interface Span {
  readonly service: string
  readonly name: string
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId: string | undefined
}

const root = fileURLToPath(new URL("..", import.meta.url))
const folder = mkdtempSync(join(tmpdir(), "connect-domain-tracing-"))
const spans: Array<Span> = []
let collector: Server
let state: SandboxState

type Exported = {
  readonly resourceSpans: ReadonlyArray<{
    readonly resource: { readonly attributes: ReadonlyArray<{ readonly key: string; readonly value: { readonly stringValue?: string } }> }
    readonly scopeSpans: ReadonlyArray<{ readonly spans: ReadonlyArray<Omit<Span, "service">> }>
  }>
}

const keep = ({ resourceSpans }: Exported) => {
  for (const { resource, scopeSpans } of resourceSpans) {
    const service = resource.attributes.find(({ key }) => key === "service.name")?.value.stringValue ?? ""
    for (const { spans: some } of scopeSpans)
      spans.push(...some.map((span) => ({ ...span, service: service.replace("connect-domain-", "") })))
  }
}

const dev = async (...args: ReadonlyArray<string>) => {
  const { port } = collector.address() as AddressInfo
  const env = { ...process.env, CD_DEV_DIR: folder, CD_PORTS: "auto", OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}` }
  const child = spawn(join(root, "dev"), args, { env, stdio: ["ignore", "inherit", "inherit"] })
  const [code] = await once(child, "exit")
  if (code !== 0) throw new Error(`./dev ${args[0]} ended with ${code}; logs are in ${folder}/logs`)
}

beforeAll(async () => {
  collector = createServer(async (incoming, response) => {
    const parts: Array<Buffer> = []
    for await (const part of incoming) parts.push(part as Buffer)
    if (incoming.url === "/v1/traces") keep(JSON.parse(Buffer.concat(parts).toString("utf8")) as Exported)
    response.writeHead(200, { "content-type": "application/json" }).end("{}")
  }).listen(0, "127.0.0.1")
  await once(collector, "listening")
  await dev("up", "--detach", "--no-demo")
  state = readState(devDirectory({ CD_DEV_DIR: folder }))
})

afterAll(async () => {
  await dev("down")
  collector.close()
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
})

const until = async <A>(what: string, look: () => Promise<A | undefined> | A | undefined): Promise<A> => {
  for (let attempt = 0; attempt < 600; attempt++) {
    const found = await look()
    if (found !== undefined) return found
    await sleep(100)
  }
  throw new Error(`${what}: did not happen; spans: ${[...new Set(spans.map((span) => `${span.service} ${span.name}`))].join(", ")}`)
}

const newTrace = () => ({ traceId: randomBytes(16).toString("hex"), spanId: randomBytes(8).toString("hex") })
const headerOf = ({ traceId, spanId }: ReturnType<typeof newTrace>) => `00-${traceId}-${spanId}-01`

const callApi = async (method: string, path: string, traceparent: string, body?: unknown) => {
  const response = await fetch(`${state.api}${path}`, {
    method,
    headers: { authorization: `Bearer ${state.api_key}`, "content-type": "application/json", traceparent },
    ...(body === undefined ? {} : { body: JSON.stringify(body) })
  })
  return { status: response.status, requestId: response.headers.get("x-request-id") ?? "", body: (await response.json()) as Connection }
}

/** What the echo origin was sent. */
const visit = (hostname: string, headers: Record<string, string>) =>
  new Promise<Record<string, string>>((resolve, reject) => {
    const { hostname: host, port } = new URL(state.edge_https)
    const ca = readFileSync(state.acme.root_ca)
    const call = request({ host, port, path: "/", servername: hostname, headers: { host: hostname, ...headers }, ca, agent: false })
    call.once("response", async (response) => {
      const parts: Array<Buffer> = []
      for await (const part of response) parts.push(part as Buffer)
      resolve((JSON.parse(Buffer.concat(parts).toString("utf8")) as { headers: Record<string, string> }).headers)
    })
    call.once("error", reject)
    call.end()
  })

/** The log lines, whatever files they are in. */
const logLines = () =>
  readdirSync(join(folder, "logs"))
    .flatMap((file) => readFileSync(join(folder, "logs", file), "utf8").split("\n"))
    .filter((line) => line.startsWith("{"))
    .flatMap((line) => {
      try {
        return [JSON.parse(line) as Record<string, unknown>]
      } catch {
        return []
      }
    })

it("one trace spans API call, actor, connector, certifier and edge", async () => {
  const trace = newTrace()
  const hostname = `shop.t${randomBytes(5).toString("hex")}.test`
  const asked = { application_id: state.application_id, hostname, setup_type: "manual" }
  const created = await callApi("POST", "/v1/connections", headerOf(trace), asked)
  expect(created.status).toBe(201)
  const { id, ownership_challenge: challenge, desired_records } = created.body
  await new CustomerDns(state.dns).put(zoneFor(hostname), [
    { host: challenge.name, type: challenge.type, value: challenge.value },
    ...desired_records
  ])
  const api = new SandboxApi(state.api, state.api_key)
  await until("live", async () => ((await api.connection(id)).state === "live" ? true : undefined))

  const mine = () => spans.filter((span) => span.traceId === trace.traceId)
  const services = ["gateway", "lifecycle", "billing", "connector", "certifier", "webhooks"]
  await until("a span of each service", () => (services.every((one) => mine().some(({ service }) => service === one)) ? true : undefined))
  await until("the order's span", () => mine().find(({ name }) => name === "certifier.issue"))
  const first = mine().find(({ service, parentSpanId }) => service === "gateway" && parentSpanId === trace.spanId)
  expect(first?.name).toContain("api ")
  const known = new Set([trace.spanId, ...mine().map(({ spanId }) => spanId)])
  await until("every span hangs under another of the trace", () =>
    mine().every(({ spanId, parentSpanId }) => known.add(spanId) && parentSpanId !== undefined) &&
    mine().every(({ parentSpanId }) => known.has(parentSpanId!))
      ? true
      : undefined
  )
  const issued = logLines().find((line) => line.message === "certificate issued" && line.connection_id === id)
  expect(issued).toMatchObject({ service: "certifier", request_id: created.requestId, trace_id: trace.traceId, connection_id: id })

  const visitor = newTrace()
  const seen = await visit(hostname, { traceparent: headerOf(visitor) })
  const atEdge = await until("the edge's span", () => spans.find((span) => span.service === "router" && span.traceId === visitor.traceId))
  expect(atEdge).toMatchObject({ name: "edge GET", parentSpanId: visitor.spanId })
  expect(seen.traceparent).toBe(headerOf({ traceId: visitor.traceId, spanId: atEdge.spanId }))
  const untraced = (await visit(hostname, {})).traceparent
  expect(untraced).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/)
  await until("the edge's own trace", () => spans.find((span) => untraced === headerOf(span)))
})

it("a failed request's log line carries request, trace and connection id", async () => {
  const trace = newTrace()
  const hostname = `shop.t${randomBytes(5).toString("hex")}.test`
  const asked = { application_id: state.application_id, hostname, setup_type: "manual" }
  const { body } = await callApi("POST", "/v1/connections", headerOf(trace), asked)
  process.kill(state.pids.nats!, "SIGSTOP")
  try {
    const failed = await callApi("DELETE", `/v1/connections/${body.id}`, headerOf(trace))
    expect(failed.status).toBe(503)
    const line = await until("the log line", () => logLines().find(({ request_id }) => request_id === failed.requestId))
    expect(line).toMatchObject({ service: "gateway", trace_id: trace.traceId, connection_id: body.id })
  } finally {
    process.kill(state.pids.nats!, "SIGCONT")
  }
})
