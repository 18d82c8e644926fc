/** Story 9: what the edge served is counted exactly once by hour, whichever process dies, and only the tenant reads it. */
import { setTimeout as sleep } from "node:timers/promises"
import { describe, expect, it } from "vitest"
import { connectManually, killAndAwait, state, until } from "./Stack.ts"
import { visit } from "./Visitor.ts"

/** The edge writes its counts down this often by default; a kill loses what came after. Milliseconds. */
const interval = 10_000

interface Traffic {
  readonly totals: { readonly requests: number; readonly bytes_out: number }
  readonly data: ReadonlyArray<{ readonly at: string; readonly requests: number; readonly latency: ReadonlyArray<number> }>
}

const trafficOf = async (id: string, key = state().api_key): Promise<{ status: number; body: Traffic }> => {
  const answer = await fetch(`${state().api}/v1/connections/${id}/traffic`, { headers: { authorization: `Bearer ${key}` } })
  return { status: answer.status, body: (await answer.json()) as Traffic }
}

describe("B2, B3: traffic", () => {
  it("is counted exactly, though NATS, billing, Postgres and the edge are killed in between", async () => {
    const { id, hostname } = await connectManually()
    let asked = 0
    let bytes = 0
    const visits = async (count: number) => {
      for (let n = 0; n < count; n++) {
        const answer = await visit(hostname, { path: `/${n}` })
        expect(answer.status).toBe(200)
        asked++
        bytes += Buffer.byteLength(answer.body)
      }
    }
    const before = (await trafficOf(id)).body.totals.requests
    await visits(20)
    for (const name of ["nats", "billing", "postgres"]) {
      await killAndAwait(name)
      await visits(10)
    }
    await sleep(interval + 1_000)
    await killAndAwait("router")
    await until("the edge serves again", async () => ((await visit(hostname)).status === 200 ? true : undefined)).then(() => {
      asked++
    })
    const seen = await until(
      "every request is counted",
      async () => {
        const { body } = await trafficOf(id)
        return body.totals.requests >= before + asked ? body : undefined
      },
      90
    )
    expect(seen.totals.requests).toBe(before + asked)
    expect(seen.totals.bytes_out).toBeGreaterThanOrEqual(bytes)
    for (const { requests, latency } of seen.data) expect(latency.reduce((sum, one) => sum + one, 0)).toBe(requests)
    await sleep(interval + 1_000)
    expect((await trafficOf(id)).body.totals.requests).toBe(before + asked)
    expect((await trafficOf(id, state().other.api_key)).status).toBe(404)
  })
})
