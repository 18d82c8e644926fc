/** Story 6: signed webhooks arrive, a plan's limit answers 402, `/internal/ask` answers as Caddy asks. */
import { SandboxApi } from "@connect-domain/sandbox/SandboxApi.ts"
import { describe, expect, it } from "vitest"
import {
  api,
  ask,
  connectManually,
  createManual,
  eventsOf,
  newHostname,
  newTenant,
  state,
  until,
  untilWebhook,
  webhooksOf
} from "./Stack.ts"

describe("webhooks", () => {
  it("tell each step once, signed, in the body that is documented", async () => {
    const { id, hostname } = await connectManually()
    await untilWebhook(id, "domain.flow.completed")
    const received = await until("all of its webhooks", async () => {
      const all = await webhooksOf(id)
      return all.length >= 3 ? all : undefined
    })
    expect(received.map((one) => one.body.type).sort()).toEqual(["domain.flow.completed", "domain.verified", "ssl.issued"])
    for (const { body, headers, verified, problem } of received) {
      expect({ verified, problem }).toEqual({ verified: true, problem: null })
      expect(body).toMatchObject({
        id: expect.any(String),
        jobId: id,
        data: { hostname },
        sequence: expect.any(Number),
        sent_at: expect.any(String)
      })
      expect(headers["x-cd-timestamp"]).toMatch(/^\d+$/)
      expect(headers["x-cd-signature"]).toMatch(/^sha256=[0-9a-f]{64}$/)
      expect(headers["webhook-id"]).toBe(body.id)
      expect(headers["webhook-signature"]).toMatch(/^v1,/)
    }
    const logged = (await eventsOf(id)).map((event) => event.id).sort()
    expect(received.map((one) => one.body.id).sort()).toEqual(logged)
  })

  it("keep each attempt, and a replay keeps the event's id", async () => {
    const { id } = await connectManually()
    const { body } = await untilWebhook(id, "domain.flow.completed")
    const deliveries = await api.list<{ id: string; event_id: string; status: string }>("/v1/webhook-deliveries?limit=100")
    const delivery = deliveries.data.find((one) => one.event_id === body.id)
    expect(delivery).toBeDefined()
    await api.call("POST", `/v1/webhook-deliveries/${delivery!.id}/replay`)
    await until("the replay arrives", async () => {
      const same = (await webhooksOf(id)).filter((one) => one.body.id === body.id)
      return same.length === 2 ? same : undefined
    })
  })
})

describe("quota", () => {
  it("gives exactly the plan's number of connects, then 402", async () => {
    const tenant = await newTenant("free")
    const create = () =>
      ask(tenant.api_key, "POST", "/v1/connections", {
        application_id: tenant.application_id,
        hostname: newHostname(),
        setup_type: "manual"
      })
    const answers = await Promise.all(Array.from({ length: 12 }, create))
    expect(answers.map((answer) => answer.status).sort()).toEqual([...Array(3).fill(201), ...Array(9).fill(402)])
    const refused = answers.find((answer) => answer.status === 402)!.body!
    expect(refused).toMatchObject({
      error: { code: "QuotaExceeded", limit: 3, plan: "free", upgrade_url: expect.any(String) },
      upgrade_url: expect.any(String)
    })
    const usage = await new SandboxApi(state().api, tenant.api_key).call<{
      usage: ReadonlyArray<{ kind: string; used: number; limit: number | null }>
    }>("GET", "/v1/usage")
    expect(usage.usage).toContainEqual({ kind: "connect", used: 3, limit: 3 })
  })

  it("answers checkout with 502 while no billing provider is configured", async () => {
    const answer = await ask(state().other.api_key, "POST", "/v1/billing/checkout", { plan: "pro" })
    expect([answer.status, (answer.body!.error as { code: string }).code]).toEqual([502, "billing_unavailable"])
  })
})

describe("/internal/ask", () => {
  const asks = async (domain: string) => {
    const response = await fetch(`${state().internal}/internal/ask?domain=${encodeURIComponent(domain)}`)
    return [response.status, await response.json()]
  }

  it("allows a claimed name and refuses every other", async () => {
    const { hostname, id } = await connectManually()
    expect(await asks(hostname)).toEqual([200, { allow: true }])
    expect(await asks(hostname.toUpperCase())).toEqual([200, { allow: true }])
    const pending = await createManual(newHostname())
    expect(await asks(pending.hostname)).toEqual([403, { allow: false }])
    expect(await asks("not a hostname")).toEqual([403, { allow: false }])
    await api.call("DELETE", `/v1/connections/${id}`)
    await until("the name is refused", async () => ((await asks(hostname))[0] === 403 ? true : undefined), 10)
  })
})
