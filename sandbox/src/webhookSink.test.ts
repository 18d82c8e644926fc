import { type ChildProcess, spawn } from "node:child_process"
import { createHmac } from "node:crypto"
import { join } from "node:path"
import { freePort } from "@connect-domain/domain/testing/freePorts.ts"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"

let child: ChildProcess
let base = ""

beforeAll(async () => {
  const port = await freePort()
  base = `http://127.0.0.1:${port}`
  const env = { ...process.env, CD_WEBHOOK_SINK_LISTEN: `127.0.0.1:${port}` }
  child = spawn(process.execPath, [join(import.meta.dirname, "webhookSink.ts")], { env, stdio: ["ignore", "pipe", "inherit"] })
  await new Promise((resolve) => child.stdout!.once("data", resolve))
})
afterAll(() => {
  child.kill()
})

const send = async (secret: string, timestamp: number, raw: string): Promise<void> => {
  const signature = createHmac("sha256", secret).update(`${timestamp}.${raw}`).digest("hex")
  const headers = { "x-cd-timestamp": String(timestamp), "x-cd-signature": `sha256=${signature}` }
  await fetch(`${base}/hook`, { method: "POST", body: raw, headers })
}

describe("webhook sink", () => {
  it("verifies signatures and shows what came", async () => {
    await fetch(`${base}/secrets`, { method: "PUT", body: JSON.stringify({ secrets: ["whsec_known"] }) })
    const now = Math.floor(Date.now() / 1000)
    await send("whsec_known", now, '{"id":"1","type":"a"}')
    await send("whsec_other", now, '{"id":"2"}')
    await send("whsec_known", now - 400, '{"id":"3"}')
    await fetch(`${base}/hook`, { method: "POST", body: "unsigned" })
    const received = (await (await fetch(`${base}/received`)).json()) as ReadonlyArray<Record<string, unknown>>
    assert.deepStrictEqual(
      received.map((one) => [one.verified, one.problem, one.raw]),
      [
        [true, null, '{"id":"1","type":"a"}'],
        [false, "the signature fits none of the known secrets", '{"id":"2"}'],
        [false, "the timestamp is more than 5 minutes off", '{"id":"3"}'],
        [false, "not signed", "unsigned"]
      ]
    )
    assert.deepStrictEqual([received[0]!.type, received[0]!.body], ["a", { id: "1", type: "a" }])
  })
})
