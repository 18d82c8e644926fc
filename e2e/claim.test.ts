/** Story 4: a hostname is claimed once in the whole installation, however many ask at the same moment. */
import { zoneFor } from "@connect-domain/sandbox/CustomerDns.ts"
import { challengeOf } from "@connect-domain/sandbox/enterRecords.ts"
import { SandboxApi } from "@connect-domain/sandbox/SandboxApi.ts"
import { describe, expect, it } from "vitest"
import { ask, dns, newHostname, newTenant, state, untilState } from "./Stack.ts"

describe("two tenants want one hostname", () => {
  it("200 parallel verifies give one winner", async () => {
    const hostname = newHostname()
    const mine = state()
    const theirs = await newTenant("enterprise")
    const tenants = [
      { key: mine.api_key, application: mine.application_id },
      { key: theirs.api_key, application: theirs.application_id }
    ]
    const connections = await Promise.all(
      tenants.map(({ key, application }) =>
        new SandboxApi(mine.api, key).create({ application_id: application, hostname, setup_type: "manual" })
      )
    )
    // Both challenges at once: two values of one record set. No web records, so that the winner waits in `propagating`.
    await dns.put(zoneFor(hostname), connections.map(challengeOf))
    const answers = await Promise.all(
      Array.from({ length: 200 }, async (_, number) => {
        const which = number % 2
        const answer = await ask(tenants[which]!.key, "POST", `/v1/connections/${connections[which]!.id}/verify`)
        return { which, status: answer.status, code: (answer.body?.error as { code?: string } | undefined)?.code }
      })
    )
    const winner = answers.find((answer) => answer.status === 200)?.which
    expect(winner).toBeDefined()
    const of = (which: number) => [
      ...new Set(answers.filter((one) => one.which === which).map((one) => `${one.status} ${one.code ?? ""}`.trim()))
    ]
    expect(of(winner!)).toEqual(["200"])
    expect(of(1 - winner!)).toEqual(["409 HostnameConflict"])

    const loser = tenants[1 - winner!]!
    const pending = await ask(loser.key, "GET", `/v1/connections/${connections[1 - winner!]!.id}`)
    expect(pending.body).toMatchObject({ state: "pending_ownership" })
    const again = await ask(loser.key, "POST", "/v1/connections", { application_id: loser.application, hostname })
    expect([again.status, (again.body!.error as { code: string }).code]).toEqual([409, "HostnameConflict"])
  })

  it("answers 404 with the same bytes for another tenant's connection as for none", async () => {
    const { other, api_key, application_id } = state()
    const connection = await new SandboxApi(state().api, api_key).create({ application_id, hostname: newHostname(), setup_type: "manual" })
    const foreign = await ask(other.api_key, "GET", `/v1/connections/${connection.id}`)
    const none = await ask(other.api_key, "GET", "/v1/connections/01900000-0000-7000-8000-000000000000")
    const bare = (answer: typeof foreign) => JSON.stringify({ ...(answer.body?.error as object), request_id: "" })
    expect([foreign.status, none.status]).toEqual([404, 404])
    expect(bare(foreign)).toBe(bare(none))
    const create = await ask(other.api_key, "POST", "/v1/connections", { application_id, hostname: newHostname() })
    expect(create.status).toBe(404)
  })

  it("frees the name when its holder archives it", async () => {
    const hostname = newHostname()
    const { api: base, api_key, application_id } = state()
    const first = new SandboxApi(base, api_key)
    const held = await first.create({ application_id, hostname, setup_type: "manual" })
    await dns.put(zoneFor(hostname), [challengeOf(held)])
    await first.call("POST", `/v1/connections/${held.id}/verify`)
    await first.call("DELETE", `/v1/connections/${held.id}`)
    await untilState(held.id, "archived")
    const theirs = await newTenant("enterprise")
    const second = new SandboxApi(base, theirs.api_key)
    const next = await second.create({ application_id: theirs.application_id, hostname, setup_type: "manual" })
    await dns.put(zoneFor(hostname), [challengeOf(next)])
    await second.call("POST", `/v1/connections/${next.id}/verify`)
  })
})
