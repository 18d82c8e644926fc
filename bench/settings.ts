/**
 * How long a setting at the edge takes from the answered PATCH until a visitor sees it: of one connection, and of an application.
 *
 * `node bench/settings.ts [--changes 200] [--connections 10000]`
 * The application has that many connections (rows put straight into the database). The visitor asks without
 * pause over one HTTPS connection while a change is under way, so the time of one request is in each figure.
 */
import { readFileSync } from "node:fs"
import { Agent, request } from "node:https"
import { setTimeout as sleep } from "node:timers/promises"
import { parseArgs } from "node:util"
import { quantile, report } from "./report.ts"
import { runBenchmark, type Stack } from "./Stack.ts"

const { values } = parseArgs({
  options: { changes: { type: "string", default: "200" }, connections: { type: "string", default: "10000" } }
})
const changes = Number(values.changes)
const connections = Number(values.connections)

const liveConnection = async (stack: Stack, hostname: string, application_id: string): Promise<string> => {
  const connection = await stack.create(hostname, { application_id })
  await stack.addRecords(connection)
  await stack.api.call("POST", `/v1/connections/${connection.id}/verify`)
  for (let n = 0; n < 600; n++) {
    if ((await stack.api.connection(connection.id)).state === "live") return connection.id
    await sleep(100)
  }
  throw new Error("no connection became live within a minute")
}

/** Copies of the live connection under other names, due tomorrow. */
const multiply = (stack: Stack, id: string) => stack.sql`
  insert into lifecycle.connections select (jsonb_populate_record(c, jsonb_build_object('id', gen_random_uuid(),
    'hostname', 'n' || n || '.' || c.hostname, 'claimed_hostname', 'n' || n || '.' || c.hostname, 'next_check_at', now() + interval '1 day'))).*
  from lifecycle.connections c, generate_series(1, ${connections}::int) n where c.id = ${id}`

const visitor = (stack: Stack, hostname: string) => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const { hostname: host, port } = new URL(stack.state.edge_https)
  const ca = readFileSync(stack.state.acme.root_ca)
  const options = { host, port, ca, agent, servername: hostname, headers: { host: hostname } }
  return () =>
    new Promise<number>((resolve, reject) => {
      const call = request(options, (response) => response.resume().on("end", () => resolve(response.statusCode ?? 0)))
      call.on("error", reject).end()
    })
}

/** Milliseconds of each change: maintenance on, off, on … */
const measure = async (stack: Stack, path: string, visit: () => Promise<number>): Promise<ReadonlyArray<number>> => {
  const times: Array<number> = []
  for (let n = 0; n < changes; n++) {
    const on = n % 2 === 0
    await stack.api.call("PATCH", path, { edge: { maintenance: on ? true : null } })
    const answered = performance.now()
    while (((await visit()) === 503) !== on) if (performance.now() - answered > 10_000) throw new Error(`${path}: not seen within 10 s`)
    times.push(performance.now() - answered)
    await sleep(100)
  }
  return times
}

await runBenchmark(async (stack) => {
  const hostname = `shop.settings-${stack.run}.test`
  const body = { name: "Settings", origin: stack.state.origin, environment: "test" }
  const application = await stack.api.call<{ id: string }>("POST", "/v1/applications", body)
  const id = await liveConnection(stack, hostname, application.id)
  await multiply(stack, id)
  const visit = visitor(stack, hostname)
  const one = await measure(stack, `/v1/connections/${id}`, visit)
  const all = await measure(stack, `/v1/applications/${application.id}`, visit)
  await stack.sql`delete from lifecycle.connections where application_id = ${application.id} and id <> ${id}`
  await stack.archive([id])
  return report("settings", { changes, connections }, [
    { what: "connection: PATCH answered → seen, p50", value: quantile(one, 0.5), unit: "ms" },
    { what: "connection: PATCH answered → seen, p99", value: quantile(one, 0.99), unit: "ms", target: { atMost: 50 } },
    { what: "application: PATCH answered → seen, p50", value: quantile(all, 0.5), unit: "ms" },
    { what: "application: PATCH answered → seen, p99", value: quantile(all, 0.99), unit: "ms", target: { atMost: 50 } }
  ])
})
process.exit()
