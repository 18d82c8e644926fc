import { CallError } from "@connect-domain/nats/Calls.ts"
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest"
import { eventually } from "../testing/eventually.ts"
import { type GatewayUnderTest, startGateway } from "../testing/GatewayUnderTest.ts"

let gateway: GatewayUnderTest
beforeAll(async () => {
  gateway = await startGateway()
})
afterAll(() => gateway?.stop())
beforeEach(() => gateway.standIns.refuse.clear())

const create = (hostname: string, idempotencyKey: string, key?: string) =>
  gateway.call("POST", "/v1/connections", {
    body: { application_id: key === undefined ? gateway.mine.application_id : gateway.other.application_id, hostname },
    headers: { "idempotency-key": idempotencyKey },
    ...(key === undefined ? {} : { key })
  })

const reserve = "cd.call.v1.billing.reserve"
const createSubject = "cd.call.v1.lifecycle.create"

describe("Idempotency-Key", () => {
  it("same key and body: one effect, the same answer byte by byte", async () => {
    const first = await create("i1.acme.test", "k1")
    const second = await create("i1.acme.test", "k1")
    expect([second.status, second.text]).toEqual([201, first.text])
    expect(second.headers.get("idempotency-replayed")).toBe("true")
    expect([first.headers.get("etag"), second.headers.get("etag")]).toEqual(['"1"', '"1"'])
    expect(gateway.standIns.createCalls.filter((id) => id === first.body.id)).toHaveLength(1)
  })

  it("another body is 422; another tenant's or route's key is another key", async () => {
    await create("i2.acme.test", "k2")
    const other = await create("i3.acme.test", "k2")
    expect([other.status, other.body.error.code]).toEqual([422, "idempotency_conflict"])
    expect((await create("i4.acme.test", "k2", gateway.other.api_key)).status).toBe(201)
    const route = await gateway.call("POST", "/v1/applications", { body: { name: "a" }, headers: { "idempotency-key": "k2" } })
    expect(route.status).toBe(201)
  })

  it("while it runs: 409; of many at once exactly one runs", async () => {
    let open = () => {}
    gateway.standIns.hold = new Promise((resolve) => {
      open = resolve
    })
    const settled: Array<number> = []
    const many = Array.from({ length: 10 }, () => create("i5.acme.test", "k5").then((answer) => settled.push(answer.status)))
    await eventually(() => expect(settled).toHaveLength(9))
    expect(settled).toEqual(Array.from({ length: 9 }, () => 409))
    open()
    gateway.standIns.hold = undefined
    await Promise.all(many)
    expect(settled[9]).toBe(201)
  })

  it("keeps refusals of the other services, and releases what they had reserved", async () => {
    gateway.standIns.refuse.set(createSubject, new CallError({ code: "HostnameConflict", message: "held" }))
    const before = gateway.standIns.reserved.size
    const first = await create("i6.acme.test", "k6")
    gateway.standIns.refuse.clear()
    expect([first.status, first.body.error.code, gateway.standIns.reserved.size]).toEqual([409, "HostnameConflict", before])
    expect((await create("i6.acme.test", "k6")).text).toBe(first.text)
  })

  it("a try that came to nothing is tried again under the same id", async () => {
    gateway.standIns.refuse.set(createSubject, new CallError({ code: "unavailable", message: "gone" }))
    const failed = await create("i7.acme.test", "k7")
    expect([failed.status, failed.body.error.code]).toEqual([503, "unavailable"])
    gateway.standIns.refuse.clear()
    const [planned] = await gateway.sql<{ planned_id: string }>(
      (sql) => sql`select planned_id from gateway.idempotency order by created_at desc limit 1`
    )
    const again = await create("i7.acme.test", "k7")
    expect([again.status, again.body.id]).toEqual([201, planned!.planned_id])
  })

  it("a crash between effect and answer: the lock runs out, the same id is created again, which is the same connection", async () => {
    const first = await create("i8.acme.test", "k8")
    await gateway.sql(
      (sql) => sql`update gateway.idempotency set status = null, sealed = null, locked_until = now() where planned_id = ${first.body.id}`
    )
    const again = await create("i8.acme.test", "k8")
    expect([again.status, again.text]).toEqual([201, first.text])
    expect(gateway.standIns.createCalls.filter((id) => id === first.body.id)).toHaveLength(2)
  })

  it("a secret that is shown once is shown again to the same key, and lies sealed", async () => {
    const make = () =>
      gateway.call("POST", `/v1/applications/${gateway.mine.application_id}/keys`, {
        body: { name: "i", scopes: ["usage:read"] },
        headers: { "idempotency-key": "k9" }
      })
    const first = await make()
    expect((await make()).text).toBe(first.text)
    const stored = await gateway.sql((sql) => sql`select * from gateway.idempotency`)
    expect(JSON.stringify(stored)).not.toContain(first.body.secret)
    expect(await gateway.sql((sql) => sql`select 1 as found from gateway.keys where name = 'i'`)).toHaveLength(1)
  })

  it("malformed keys are refused", async () => {
    for (const key of ["", "a b", "x".repeat(256)]) expect((await create("i10.acme.test", key)).status).toBe(400)
  })
})

describe("quota", () => {
  it("402 in exactly the product's shape", async () => {
    const details = { limit: 3, plan: "free", upgrade_url: "https://example.com/upgrade", kind: "connect" }
    gateway.standIns.refuse.set(reserve, new CallError({ code: "QuotaExceeded", message: "the plan allows 3 connects a month", details }))
    const answer = await create("q.acme.test", "q1")
    expect(answer.status).toBe(402)
    expect(answer.body).toEqual({
      error: {
        code: "QuotaExceeded",
        message: "the plan allows 3 connects a month",
        details,
        request_id: answer.headers.get("x-request-id"),
        limit: 3,
        plan: "free",
        upgrade_url: "https://example.com/upgrade"
      },
      upgrade_url: "https://example.com/upgrade"
    })
  })
})
