/** Story 7: any process dies at any moment and every hostname still goes live; NATS loses everything; Postgres is away for a while. */
import { rmSync } from "node:fs"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { describe, expect, it } from "vitest"
import {
  addRecords,
  ask,
  connectManually,
  createManual,
  dev,
  eventsOf,
  folder,
  killAndAwait,
  newHostname,
  state,
  until,
  untilState,
  untilWebhook,
  webhooksOf
} from "./Stack.ts"
import { keepVisiting, visit } from "./Visitor.ts"

const services = ["gateway", "lifecycle", "connector", "certifier", "router", "billing", "webhooks"]
const path = ["domain.verified", "ssl.issued", "domain.flow.completed"]

/** Each event exists once in the log, and each was received under that one id. */
const expectEachEventOnce = async (id: string): Promise<void> => {
  await untilWebhook(id, "domain.flow.completed")
  const events = await eventsOf(id)
  expect(events.map((event) => event.type)).toEqual(path)
  const received = await until("all webhooks", async () => {
    const all = await webhooksOf(id)
    return path.every((type) => all.some((one) => one.body.type === type)) ? all : undefined
  })
  expect([...new Set(received.map((one) => one.body.id))].sort()).toEqual(events.map((event) => event.id).sort())
}

/** Connects several hostnames and kills `name` at different moments of their flows. */
const connectThroughDeaths = async (name: string, moments: ReadonlyArray<number>): Promise<void> => {
  const flows = moments.map(async (moment) => {
    const connection = await until("a connection is created", () => createManual(newHostname()))
    await addRecords(connection)
    await sleep(moment)
    return connection
  })
  const connections = [await flows[0]!]
  await killAndAwait(name)
  connections.push(...(await Promise.all(flows.slice(1))))
  for (const { id } of connections) await untilState(id, "live")
  for (const { id, hostname } of connections) {
    await expectEachEventOnce(id)
    await until(`${hostname} is served`, async () => ((await visit(hostname)).status === 200 ? true : undefined))
  }
}

describe("a process is killed in the middle of the flow", () => {
  it.each(services)("%s", async (service) => {
    await connectThroughDeaths(service, [0, 60, 200])
    await connectThroughDeaths(service, [400, 450])
  })

  it("the database", async () => {
    await connectThroughDeaths("postgres", [50, 100])
  })

  it("the certificate authority, which forgets its accounts", async () => {
    await connectThroughDeaths("pebble", [50, 100])
  })
})

describe("NATS loses its store", () => {
  it("the edge serves on, and everything is restored from Postgres", async () => {
    const before = await connectManually()
    const pending = await createManual(newHostname())
    const visitor = keepVisiting(before.hostname)
    rmSync(join(folder, "nats"), { recursive: true, force: true })
    await killAndAwait("nats")
    const rebuilt = await until("rebuild answers", () => dev("rebuild").then(() => true))
    expect(rebuilt).toBe(true)
    await addRecords(pending)
    await untilState(pending.id, "live")
    const after = await connectManually()
    expect((await visit(after.hostname)).status).toBe(200)
    const { failures, count } = await visitor.end()
    expect(failures).toEqual([])
    expect(count).toBeGreaterThan(0)
  })

  it("an edge that starts anew while NATS is empty serves what it knew", async () => {
    const { hostname } = await connectManually()
    rmSync(join(folder, "nats"), { recursive: true, force: true })
    await Promise.all([killAndAwait("nats"), killAndAwait("router")])
    await until("the edge serves", async () => ((await visit(hostname)).status === 200 ? true : undefined), 30)
    const next = await connectManually()
    expect((await visit(next.hostname)).status).toBe(200)
  })
})

describe("Postgres is away", () => {
  it("writes are refused with 503, none is lost, the edge serves on", async () => {
    const { hostname } = await connectManually()
    const { api_key, application_id } = state()
    const visitor = keepVisiting(hostname)
    const answers: Array<{ readonly status: number; readonly code: string | undefined; readonly id: unknown }> = []
    const write = async () => {
      const answer = await ask(api_key, "POST", "/v1/connections", { application_id, hostname: newHostname(), setup_type: "manual" })
      answers.push({ status: answer.status, code: (answer.body?.error as { code?: string } | undefined)?.code, id: answer.body?.id })
    }
    for (let round = 0; round < 20 && answers.every((answer) => answer.status === 201); round++) {
      const restarted = killAndAwait("postgres")
      await Promise.all(Array.from({ length: 10 }, write))
      await restarted
    }
    const refused = answers.filter((answer) => answer.status !== 201)
    expect(new Set(refused.map((answer) => `${answer.status} ${answer.code}`))).toEqual(new Set(["503 unavailable"]))
    for (const { id } of answers.filter((answer) => answer.status === 201)) {
      await until("an acknowledged connection exists", async () =>
        (await ask(api_key, "GET", `/v1/connections/${id}`)).status === 200 ? true : undefined
      )
    }
    expect((await visitor.end()).failures).toEqual([])
    expect((await until("a hostname goes live again", () => connectManually())).state).toBe("live")
  })
})
