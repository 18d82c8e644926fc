import { uuidv7 } from "@connect-domain/domain/uuidv7.ts"
import { connectionEvent, type EventType } from "@connect-domain/messages/events.ts"
import { messaging } from "@connect-domain/nats/messaging.ts"
import { Work } from "@connect-domain/nats/Work.ts"
import { ConfigProvider, Effect, Layer } from "effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { type GatewayUnderTest, startGateway } from "../testing/GatewayUnderTest.ts"

let gateway: GatewayUnderTest
beforeAll(async () => {
  gateway = await startGateway()
})
afterAll(() => gateway?.stop())

const connect = async (hostname: string): Promise<string> =>
  (await gateway.call("POST", "/v1/connections", { body: { application_id: gateway.mine.application_id, hostname } })).body.id

/** As the lifecycle does it: a row in the log, then the message. */
const happen = async (
  connectionId: string,
  sequence: number,
  type: EventType,
  options: { readonly silent?: boolean; readonly unlogged?: boolean } = {}
) => {
  const event = {
    id: uuidv7(),
    type,
    tenant_id: gateway.mine.tenant_id,
    application_id: gateway.mine.application_id,
    connection_id: connectionId,
    environment: "test" as const,
    sequence,
    data: { hostname: "x.acme.test" },
    occurred_at: new Date().toISOString()
  }
  if (options.unlogged !== true) {
    await gateway.sql(
      (sql) => sql`
        insert into lifecycle.events (id, tenant_id, application_id, connection_id, environment, type, sequence, data, occurred_at)
        values (${event.id}, ${event.tenant_id}, ${event.application_id}, ${connectionId}, 'test', ${type}, ${sequence}, ${sql.json(event.data)}, now())`
    )
  }
  if (options.silent === true) return event.id
  const layer = messaging("lifecycle").pipe(Layer.provide(ConfigProvider.layer(ConfigProvider.fromEnvRecord(gateway.env))))
  await Effect.runPromise(
    Effect.provide(
      Effect.flatMap(Work, (work) => work.send(connectionEvent, event, { id: event.id })),
      layer,
      { local: true }
    )
  )
  return event.id
}

/** Collects until `count` events came. */
const follow = async (
  path: string,
  count: number,
  headers: Record<string, string> = {},
  onOpen: () => Promise<unknown> = async () => {}
) => {
  const abort = new AbortController()
  const response = await fetch(`${gateway.url}${path}`, {
    headers: { authorization: `Bearer ${gateway.mine.api_key}`, accept: "text/event-stream", ...headers },
    signal: abort.signal
  })
  expect([response.status, response.headers.get("content-type")]).toEqual([200, "text/event-stream"])
  const decoder = new TextDecoder()
  let text = ""
  let opened = false
  for await (const chunk of response.body!) {
    text += decoder.decode(chunk, { stream: true })
    if (!opened) {
      opened = true
      await onOpen()
    }
    if (text.split("\nevent: ").length > count) break
  }
  abort.abort()
  return [...text.matchAll(/^id: (.+)\nevent: (.+)\ndata: (.+)$/gm)].map(([, id, event, data]) => ({ id, event, data: JSON.parse(data!) }))
}

describe("one connection's events", () => {
  it("as JSON, in order, in pages", async () => {
    const id = await connect("e1.acme.test")
    for (const sequence of [1, 2, 3]) await happen(id, sequence, "domain.verified", { silent: true })
    const first = await gateway.call("GET", `/v1/connections/${id}/events?limit=2`)
    expect(first.body.data.map((event: { sequence: number }) => event.sequence)).toEqual([1, 2])
    expect(first.body.data[0]).toMatchObject({ type: "domain.verified", jobId: id, environment: "test", data: { hostname: "x.acme.test" } })
    const second = await gateway.call("GET", `/v1/connections/${id}/events?limit=2&cursor=${first.body.next_cursor}`)
    expect([second.body.data.length, second.body.data[0].sequence, second.body.next_cursor]).toEqual([1, 3, null])
    const other = await connect("e2.acme.test")
    expect((await gateway.call("GET", `/v1/connections/${other}/events?cursor=${first.body.next_cursor}`)).status).toBe(400)
  })

  it("as a stream: what happened, then what happens, once each and in order", async () => {
    const id = await connect("e3.acme.test")
    await happen(id, 1, "domain.verified", { silent: true })
    const events = await follow(`/v1/connections/${id}/events`, 4, {}, async () => {
      await happen(id, 2, "domain.added")
      await happen(id, 3, "ssl.issued", { silent: true }) // NATS missed it; the log has it
      await happen(id, 4, "domain.flow.completed")
    })
    expect(events.map(({ event, data }) => [event, data.sequence])).toEqual([
      ["domain.verified", 1],
      ["domain.added", 2],
      ["ssl.issued", 3],
      ["domain.flow.completed", 4]
    ])
    const resumed = await follow(`/v1/connections/${id}/events`, 1, { "last-event-id": events[2]!.id! })
    expect(resumed.map(({ event }) => event)).toEqual(["domain.flow.completed"])
  })
})

describe("the tenant's log", () => {
  it("resumes after an event, and knows only its own", async () => {
    const id = await connect("e4.acme.test")
    const ids = [await happen(id, 1, "domain.verified", { silent: true }), await happen(id, 2, "domain.drift", { silent: true })]
    const rest = await gateway.call("GET", `/v1/events?after=${ids[0]}&limit=1`)
    expect(rest.body.data.map((event: { id: string }) => event.id)).toEqual([ids[1]])
    expect(rest.body.next_cursor).toBe(null)
    for (const after of [uuidv7(), "nonsense"]) expect((await gateway.call("GET", `/v1/events?after=${after}`)).status).toBe(400)
    expect((await gateway.call("GET", `/v1/events?after=${ids[0]}`, { key: gateway.other.api_key })).status).toBe(400)
    expect((await gateway.call("GET", "/v1/events", { key: gateway.other.api_key })).body.data).toEqual([])
  })

  it("concatenated pages are the log, without a gap or a double", async () => {
    const id = await connect("e5.acme.test")
    for (let sequence = 1; sequence <= 7; sequence++) await happen(id, sequence, "domain.drift", { silent: true })
    const found: Array<string> = []
    let after = ""
    for (;;) {
      const page = await gateway.call("GET", `/v1/events?limit=2${after}`)
      found.push(...page.body.data.map((event: { id: string }) => event.id))
      if (page.body.next_cursor === null) break
      after = `&after=${page.body.next_cursor}`
    }
    const all = await gateway.call("GET", "/v1/events?limit=100")
    expect(found).toEqual(all.body.data.map((event: { id: string }) => event.id))
    expect(new Set(found).size).toBe(found.length)
  })
})
